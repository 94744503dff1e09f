// Dark or light: the system's choice unless somebody chose here. A matter of the reader's screen, so not in the address.

const STORE = 'loghound.theme';
const CHOICES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof CHOICES)[number];

function stored(): Theme {
  try {
    const found = localStorage.getItem(STORE) as Theme;
    return CHOICES.includes(found) ? found : 'auto';
  } catch {
    return 'auto';
  }
}

/** `turn` counts changes: what is drawn by hand looks at it to draw itself again. */
export const theme = $state<{ choice: Theme; turn: number }>({ choice: stored(), turn: 0 });

export function apply() {
  if (theme.choice === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.choice;
  theme.turn++;
}

export function next() {
  theme.choice = CHOICES[(CHOICES.indexOf(theme.choice) + 1) % CHOICES.length]!;
  try {
    localStorage.setItem(STORE, theme.choice);
  } catch {
    // A browser that keeps nothing still shows it.
  }
  apply();
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => theme.turn++);

/** A colour of the style sheet as a canvas takes it. */
export function colour(name: string): string {
  const probe = document.createElement('span');
  probe.className = `probe-${name}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

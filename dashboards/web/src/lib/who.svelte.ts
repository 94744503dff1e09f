// Who does what is done here: a name, kept in this browser, until there is a sign-in.

const KEY = 'loghound.who';

export const who = $state({ name: stored() });

function stored(): string {
  try {
    return localStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

export function remember(name: string) {
  who.name = name.trim();
  try {
    localStorage.setItem(KEY, who.name);
  } catch {
    // A browser that keeps nothing asks again.
  }
}

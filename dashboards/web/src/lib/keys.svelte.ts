// Keys of the page: one table, which the help shows too.

export interface Key {
  keys: string;
  what: string;
  run: (event: KeyboardEvent) => void;
}

/** Those of the shell, and of the page that is shown. */
export const bound = $state<{ shell: Key[]; page: Key[] }>({ shell: [], page: [] });

let prefix = '';
let prefixTimer = 0;

/** Runs what is bound to a key; text that is being written keeps its keys. */
export function onKey(event: KeyboardEvent) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  // A dialog has keys of its own.
  if (document.querySelector('dialog[open]')) return;
  const target = event.target as HTMLElement;
  const writing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  if (writing && event.key !== 'Escape') return;
  // Enter and space belong to what has the focus.
  if (/^(A|BUTTON|SUMMARY)$/.test(target.tagName) && (event.key === 'Enter' || event.key === ' ')) return;
  const pressed = prefix ? `${prefix} ${event.key}` : event.key;
  clearTimeout(prefixTimer);
  prefix = '';
  const found = [...bound.page, ...bound.shell].find((key) => key.keys === pressed);
  if (found) {
    event.preventDefault();
    found.run(event);
  } else if (event.key === 'g') {
    prefix = 'g';
    prefixTimer = window.setTimeout(() => (prefix = ''), 1000);
  }
}

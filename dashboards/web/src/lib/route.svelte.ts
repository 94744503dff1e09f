// What is shown is in the address: the page, and its state as parameters. Back, forward and a shared link just work.

function read(): { page: string; params: URLSearchParams } {
  return { page: location.pathname.split('/').pop() || 'logs', params: new URLSearchParams(location.search) };
}

export const route = $state<{ page: string; params: URLSearchParams }>(read());

addEventListener('popstate', () => Object.assign(route, read()));

export type Changes = Record<string, string | null | undefined>;

/** The parameters as an address has them, readable: what needs no escape has none. */
export function search(params: URLSearchParams): string {
  const text = params.toString().replace(/%3A/g, ':').replace(/%2F/g, '/').replace(/%2C/g, ',').replace(/%28/g, '(').replace(/%29/g, ')');
  return text ? `?${text}` : '';
}

/** A link to a page. The time range goes along unless it is changed. */
export function link(page: string, changes: Changes = {}): string {
  const params = new URLSearchParams();
  for (const name of ['from', 'to']) {
    const value = route.params.get(name);
    if (value !== null) params.set(name, value);
  }
  apply(params, changes);
  return page + search(params);
}

/** Changes the state of this page. `replace`: without a step for the back button. */
export function set(changes: Changes, replace = false) {
  const params = new URLSearchParams(route.params);
  apply(params, changes);
  open(route.page + search(params), replace);
}

export function open(href: string, replace = false) {
  const target = new URL(href, location.href);
  if (target.href === location.href) return;
  if (replace) history.replaceState(null, '', target);
  else history.pushState(null, '', target);
  Object.assign(route, read());
}

function apply(params: URLSearchParams, changes: Changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined) params.delete(name);
    else params.set(name, value);
  }
}

/** For links inside the UI: an ordinary click changes the page without loading it; all others stay the browser's. */
export function follow(event: MouseEvent) {
  const anchor = (event.target as Element).closest?.('a');
  if (!anchor || anchor.target || anchor.hasAttribute('download') || event.defaultPrevented) return;
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const target = new URL(anchor.href, location.href);
  const here = location.pathname.replace(/[^/]*$/, '');
  if (target.origin !== location.origin || target.pathname.replace(/[^/]*$/, '') !== here) return;
  event.preventDefault();
  open(target.href);
}

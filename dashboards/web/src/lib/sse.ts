// Cuts a stream of text into server-sent events (WHATWG HTML, 9.2), wherever its pieces end.

export interface Event {
  kind: string;
  data: string;
}

export class Events {
  #rest = '';
  #kind = 'message';
  #data: string[] = [];

  push(piece: string): Event[] {
    const out: Event[] = [];
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line === '') {
        if (this.#data.length) out.push({ kind: this.#kind, data: this.#data.join('\n') });
        this.#kind = 'message';
        this.#data = [];
        continue;
      }
      const colon = line.indexOf(':');
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      // A line that begins with a colon has no name: it keeps the connection alive.
      if (name === 'data') this.#data.push(value);
      else if (name === 'event') this.#kind = value;
    }
    return out;
  }
}

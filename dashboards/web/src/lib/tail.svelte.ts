// Live lines: server-sent events read from a fetch, because only that can be stopped, throttled and told apart from a
// failure. What is kept is bounded; the page gets what came a few times a second, not line by line.

import { Problem, request } from './api';
import type { Rec } from './record';
import { Events } from './sse';

/** Lines kept while live: what came before them is in the store. */
const KEPT_MAX = 2000;
const PAUSE_MILLIS = 200;

export class Tail {
  records = $state.raw<Rec[]>([]);
  problem = $state.raw<Problem | null>(null);
  on = $state(false);
  /** Lines that the server left out because this page reads too slowly. */
  skipped = $state(0);
  /** Lines that came since the start. */
  came = $state(0);
  #abort: AbortController | null = null;
  #waiting: Rec[] = [];
  #timer = 0;

  async start(q: string) {
    this.stop();
    const abort = (this.#abort = new AbortController());
    Object.assign(this, { on: true, problem: null, skipped: 0, came: 0, records: [] });
    try {
      const response = await request('api/v1/tail', { q }, { signal: abort.signal });
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      const events = new Events();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        for (const event of events.push(value)) this.#take(event.kind, event.data);
      }
      throw new Problem({ type: 'tail', title: 'the live tail ended', status: 0, detail: 'The server closed it. Start it again to go on.' });
    } catch (error) {
      if (abort.signal.aborted) return;
      this.problem = error instanceof Problem ? error : new Problem({ type: 'tail', title: 'the live tail broke off', status: 0, detail: String(error) });
      this.stop();
    }
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
    this.#show();
    this.on = false;
  }

  #take(kind: string, data: string) {
    if (kind === 'skipped') {
      this.skipped += Number(data) || 0;
      return;
    }
    this.#waiting.push(JSON.parse(data) as Rec);
    // Nobody could read these either.
    if (this.#waiting.length > KEPT_MAX) this.#waiting.splice(0, this.#waiting.length - KEPT_MAX);
    this.came++;
    if (!this.#timer) this.#timer = window.setTimeout(() => this.#show(), PAUSE_MILLIS);
  }

  #show() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (!this.#waiting.length) return;
    this.records = [...this.#waiting.reverse(), ...this.records].slice(0, KEPT_MAX);
    this.#waiting = [];
  }
}

// One question to the server at a time: a newer one ends the older. What was answered stays until there is something newer.

import { untrack } from 'svelte';
import { Problem } from './api';

/** Questions under way anywhere: the bar on top shows them. */
export const underway = $state({ count: 0 });

export class Load<T> {
  data = $state.raw<T | null>(null);
  problem = $state.raw<Problem | null>(null);
  busy = $state(false);
  /** When the question under way was asked: Unix milliseconds. */
  since = $state(0);
  #abort: AbortController | null = null;

  /** Asks. Gives the answer, or null when it failed or a newer question came. */
  async run(question: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.busy = true;
    this.since = Date.now();
    // Asking is no reason to ask again: an effect that asks does not watch this.
    untrack(() => underway.count++);
    try {
      const data = await question(abort.signal);
      if (this.#abort !== abort) return null;
      this.data = data;
      this.problem = null;
      return data;
    } catch (error) {
      if (this.#abort !== abort || abort.signal.aborted) return null;
      this.problem = error instanceof Problem ? error : new Problem({ type: 'client', title: 'the page failed', status: 0, detail: String(error) });
      return null;
    } finally {
      underway.count--;
      if (this.#abort === abort) this.busy = false;
    }
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
    this.busy = false;
  }
}

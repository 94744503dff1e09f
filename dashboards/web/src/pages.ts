// The pages there are. One whose API is not there is not in this list.

import type { Component } from 'svelte';
import Logs from './pages/Logs.svelte';

export interface Page {
  /** As in the address. */
  name: string;
  title: string;
  /** After `g`, goes there. */
  key: string;
  component: Component;
}

export const PAGES: Page[] = [{ name: 'logs', title: 'Logs', key: 'l', component: Logs }];

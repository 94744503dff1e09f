// The pages there are. One whose API is not there is not in this list.

import type { Component } from 'svelte';
import Anomalies from './pages/Anomalies.svelte';
import Compare from './pages/Compare.svelte';
import Detectors from './pages/Detectors.svelte';
import Grok from './pages/Grok.svelte';
import Incidents from './pages/Incidents.svelte';
import Logs from './pages/Logs.svelte';
import Patterns from './pages/Patterns.svelte';
import System from './pages/System.svelte';

export interface Page {
  /** As in the address. */
  name: string;
  title: string;
  /** After `g`, goes there. */
  key: string;
  component: Component;
}

export const PAGES: Page[] = [
  { name: 'logs', title: 'Logs', key: 'l', component: Logs },
  { name: 'incidents', title: 'Incidents', key: 'i', component: Incidents },
  { name: 'anomalies', title: 'Anomalies', key: 'a', component: Anomalies },
  { name: 'patterns', title: 'Patterns', key: 'p', component: Patterns },
  { name: 'compare', title: 'Compare', key: 'c', component: Compare },
  { name: 'grok', title: 'Grok', key: 'k', component: Grok },
  { name: 'detectors', title: 'Detectors', key: 'd', component: Detectors },
  { name: 'system', title: 'System', key: 's', component: System },
];

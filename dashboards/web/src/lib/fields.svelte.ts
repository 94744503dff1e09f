// The fields there are, read once and again when they are old: new services bring new ones.

import { ask, type Field } from './api';
import { Load } from './load.svelte';

const fields = new Load<{ fields: Field[] }>();
const OLD_MILLIS = 60_000;
let read = 0;

export function known(): Field[] {
  return fields.data?.fields ?? [];
}

export function refresh() {
  if (Date.now() - read < OLD_MILLIS && known().length) return;
  read = Date.now();
  fields.run((signal) => ask<{ fields: Field[] }>('api/v1/fields', {}, signal));
}

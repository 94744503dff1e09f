// The words that a query looks for anywhere in the line, to be marked there.

import { splitPipes } from './query';

export function searched(query: string): string[] {
  const { filter } = splitPipes(query);
  const words: string[] = [];
  const token = /(NOT\s+|-)?(?:([^\s()":]+):)?(?:"((?:[^"\\]|\\.)*)"|([^\s()"]+))/g;
  for (const [, not, field, phrase, word] of filter.matchAll(token)) {
    if (not || (field && field !== 'message' && field !== 'msg')) continue;
    const text = phrase?.replace(/\\(.)/g, '$1') ?? word ?? '';
    if (phrase === undefined && (/^(AND|OR|NOT|TO|and|or|not|&&|\|\||\d{1,2})$/.test(text) || /[*?:/[\]{}]/.test(text))) continue;
    if (text.length > 1) words.push(text);
  }
  return [...new Set(words)].slice(0, 20);
}

import { readFileSync } from 'node:fs';
import type { Framework } from './frameworks.js';

export type Row = Readonly<Record<string, unknown>> & { readonly id: string };

function read(file: string): string {
  return readFileSync(new URL(`../corpora/${file}`, import.meta.url), 'utf8');
}

/** The rows of a corpus, which has one JSON object per line. */
export function corpus<T extends Row>(name: string): T[] {
  return read(`${name}.jsonl`)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

export function corpusKeys(name: 'jwt-keys' | 'seal-keys'): Record<string, unknown> {
  return JSON.parse(read(`${name}.json`)) as Record<string, unknown>;
}

const OTHERS: readonly Framework[] = ['express4', 'connect', 'http'];

/** The rows to try on a framework: all of them on Express 5, and each of them on one of the others. */
export function rowsOn<T>(framework: Framework, rows: readonly T[]): T[] {
  if (framework === 'express5') return [...rows];
  return rows.filter((_, index) => OTHERS[index % OTHERS.length] === framework);
}

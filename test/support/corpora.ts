import { readFileSync } from 'node:fs';

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

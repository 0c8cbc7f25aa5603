import { createSlot, Given } from './slot.js';

/** What a module keeps of a request, or of a response. */
export interface Seat<K extends object, V> {
  get: (key: K) => V | undefined;
  /** What there is, or else what `make` makes. */
  obtain: (key: K, make: (key: K) => V) => V;
}

/** One after the other, as they are made. */
let places = 0;

/**
 * A slot of requests, or of responses by way of their request, whose values lie on the array of the request's raw headers.
 *
 * Express gives each request and response another prototype, and to Node 20 and 22 each of them is an object of a kind
 * of its own from then on: a property added there costs as much as a whole layer of Express, and one that is read as
 * much as ten elsewhere. That array is like all others, it is as young as the request, and nobody replaces it.
 *
 * @param ownerOf The key that a value is of. A key whose seat is taken by another's value has its own on itself.
 */
export function createSeat<K extends object, V extends object>(
  requestOf: (key: K) => { readonly rawHeaders?: object } | undefined,
  ownerOf: (value: V) => K,
): Seat<K, V> {
  const place = places;
  places += 1;
  const standing = createSlot<K, V>();
  const find = (headers: object | undefined, row: unknown[] | undefined, key: K) => {
    const value = row?.[place] as V | undefined;
    // While the seat is free nobody stands.
    if (headers && !value) return undefined;
    return value && ownerOf(value) === key ? value : standing.get(key);
  };
  return {
    get(key) {
      const headers = requestOf(key)?.rawHeaders;
      return find(headers, headers && Row.of(headers), key);
    },
    obtain(key, make) {
      const headers = requestOf(key)?.rawHeaders;
      const row = headers && (Row.of(headers) ?? Row.on(headers));
      const found = find(headers, row, key);
      if (found) return found;
      const made = make(key);
      if (row && row[place] === undefined) row[place] = made;
      else standing.set(key, made);
      return made;
    },
  };
}

/**
 * All seats on the headers of one request. A field of its own and not a slot: what all slots have in common is one piece of code, to
 * which the engine finds each object another kind.
 */
class Row extends Given {
  #values: unknown[] | undefined;

  static of(headers: object): unknown[] | undefined {
    return #values in headers ? headers.#values : undefined;
  }

  static on(headers: object): unknown[] {
    return (new Row(headers).#values = new Array<unknown>(places).fill(undefined));
  }
}

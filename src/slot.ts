/** A value of ours on each of somebody else's objects. */
export interface Slot<K extends object, V> {
  get: (key: K) => V | undefined;
  set: (key: K, value: V) => void;
}

/** A class that builds nothing: a subclass then puts its private field on the object that was given. */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- what it returns is what it is for
class Given {
  constructor(object: object) {
    return object;
  }
}

/**
 * Makes a slot: what a `WeakMap` is for, at a tenth of its price where every request is a key. A map of many young
 * keys is walked at each collection, and with one entry a request that was a third of a busy server's time.
 *
 * A private field, so nobody else sees, prints, copies or sets it. As with a map, a `Proxy` is another object.
 */
export function createSlot<K extends object, V>(): Slot<K, V> {
  class Holder extends Given {
    #value: V | undefined;

    static get(key: object): V | undefined {
      return #value in key ? key.#value : undefined;
    }

    static set(key: object, value: V): void {
      const holder = #value in key ? key : new Holder(key);
      holder.#value = value;
    }
  }
  return {
    get: (key) => Holder.get(key),
    set: (key, value) => {
      Holder.set(key, value);
    },
  };
}

/** What is kept of a request, or of a response. */
export interface Seat<K extends object, V> {
  get: (key: K) => V | undefined;
  /** What there is, or else what `make` makes. */
  obtain: (key: K, make: (key: K) => V) => V;
}

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
  const seated = createSlot<object, V>();
  const standing = createSlot<K, V>();
  return {
    get(key) {
      const seat = requestOf(key)?.rawHeaders;
      const value = seat && seated.get(seat);
      return value && ownerOf(value) === key ? value : standing.get(key);
    },
    obtain(key, make) {
      const seat = requestOf(key)?.rawHeaders;
      const value = seat && seated.get(seat);
      const found = value && ownerOf(value) === key ? value : standing.get(key);
      if (found) return found;
      const made = make(key);
      if (seat && !value) seated.set(seat, made);
      else standing.set(key, made);
      return made;
    },
  };
}

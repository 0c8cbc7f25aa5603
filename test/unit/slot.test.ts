import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createSeat } from '../../src/seat.js';
import { createSlot } from '../../src/slot.js';

test('a value is on its own object alone, and the latest counts', () => {
  const [one, another] = [createSlot<object, string>(), createSlot<object, string>()];
  const object = Object.freeze({});
  expect(one.get(object)).toBeUndefined();
  one.set(object, 'first');
  one.set(object, 'second');
  another.set(object, 'other');
  expect([one.get(object), another.get(object), one.get({})]).toEqual(['second', 'other', undefined]);
});

test('nobody sees, prints, copies or inherits what is in a slot', () => {
  const slot = createSlot<object, string>();
  const object = { visible: true };
  slot.set(object, 'secret');
  expect(Reflect.ownKeys(object)).toEqual(['visible']);
  expect(inspect(object, { showHidden: true })).not.toContain('secret');
  expect(slot.get({ ...object })).toBeUndefined();
  expect(slot.get(Object.create(object) as object)).toBeUndefined();
  expect(slot.get(new Proxy(object, {}))).toBeUndefined();
});

describe('a seat', () => {
  interface Request {
    rawHeaders?: string[];
  }
  interface Kept {
    readonly of: Request;
  }
  const seats = () =>
    createSeat<Request, Kept>(
      (request) => request,
      (kept) => kept.of,
    );
  const make = (of: Request): Kept => ({ of });

  test('is made once, and leaves the request as it is', () => {
    const seat = seats();
    const request = Object.freeze({ rawHeaders: ['Host', 'localhost'] });
    expect(seat.get(request)).toBeUndefined();
    const kept = seat.obtain(request, make);
    expect([seat.obtain(request, make), seat.get(request)]).toEqual([kept, kept]);
    expect(seat.get(request)).toBe(kept);
    expect(Reflect.ownKeys(request.rawHeaders)).toEqual(['0', '1', 'length']);
  });

  test.each([
    ['share their raw headers', ['Host', 'localhost']],
    ['have none', undefined],
  ])('is never taken for that of another, where requests %s', (_, rawHeaders) => {
    const seat = seats();
    const [one, another]: Request[] = [{ rawHeaders }, { rawHeaders }] as Request[];
    const first = seat.obtain(one!, make);
    expect(seat.get(another!)).toBeUndefined();
    const second = seat.obtain(another!, make);
    expect(seat.get(one!)).toBe(first);
    expect(seat.get(another!)).toBe(second);
    expect(seat.get(Object.create(one!) as Request)).toBeUndefined();
  });
});

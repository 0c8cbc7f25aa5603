import { inspect } from 'node:util';
import { expect, test } from 'vitest';
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

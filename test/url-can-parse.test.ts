import { expect, test } from 'vitest';
import { canParse } from '../src/url-can-parse.js';

test('an address with a letter such as ü stays valid, however many addresses were checked before', () => {
  const addresses = ['https://müller.example/callback', 'https://example.com/callback'];
  let refused = 0;
  for (let count = 0; count < 20_000; count += 1) if (!canParse(addresses[count % 2]!)) refused += 1;
  expect(refused).toBe(0);
  expect(canParse('/é', 'https://example.com')).toBe(true);
});

test.each(['/relative', 'https://', 'https://a b/', ''])('%j is not an absolute address', (address) => {
  expect(canParse(address)).toBe(false);
});

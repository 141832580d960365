import { expect, test } from 'vitest';
import { attackCases } from './case.js';

test('the list of attacks has each id once, and is as long as it should be', () => {
  const all = attackCases().flatMap(([, cases]) => cases);
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  expect(all.length).toBeGreaterThanOrEqual(350);
});

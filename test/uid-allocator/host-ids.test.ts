import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HostIds, loginNameOf, parseIds, parseSubordinateFile } from '../../src/uid-allocator/host-ids.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-host-ids-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('reads subuid(5), leaving out lines that are none', () => {
  const text = 'alice:100000:65536\n1001:300000:10\n\nbroken:1\nbob:x:5\neve:5:0\nmallory:1:2:3\n';
  expect(parseSubordinateFile(text)).toEqual([
    { owner: 'alice', first: 100_000, count: 65_536 },
    { owner: '1001', first: 300_000, count: 10 },
  ]);
});

test('reads ids and primary groups of passwd(5), and the ids of group(5)', () => {
  expect(parseIds('alice:x:1000:1001:Alice:/home/alice:/bin/sh\n+::::::\n')).toEqual([1000, 1001]);
  expect(parseIds('docker:x:998:alice,bob\n')).toEqual([998]);
  expect(loginNameOf(1000, 'root:x:0:0::/:\nalice:x:1000:1001:Alice:/home/alice:/bin/sh\n')).toBe('alice');
  expect(loginNameOf(7, 'root:x:0:0::/:\n')).toBeUndefined();
});

test('knows the four files as they are now', () => {
  const ids = new HostIds(folder);
  expect(ids.spans()).toEqual([]);
  writeFileSync(join(folder, 'subuid'), 'alice:100000:65536\n');
  writeFileSync(join(folder, 'group'), 'staff:x:300000:\n');
  const spans = ids.spans();
  expect(spans).toEqual([
    { owner: 'alice', first: 100_000, count: 65_536 },
    { first: 300_000, count: 1 },
  ]);
  expect(ids.spans()).toBe(spans);
});

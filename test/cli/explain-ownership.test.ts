import { expect, test } from 'vitest';
import { ownershipLines } from '../../src/cli/explain-ownership.js';
import type { ApprovedMount } from '../../src/uid-allocator/record.js';

const mount: ApprovedMount = {
  source: '/home/alice/work',
  destination: '/work',
  device: '1',
  inode: '2',
  readOnly: false,
  mapping: 'caller',
  ownerUid: 1000,
  ownerGid: 1001,
};

test.each([
  [
    'a container that runs as root',
    {},
    /^\/home\/alice\/work at \/work: what root .* belongs to 1000:1001 on disk/,
  ],
  [
    'one that runs as its caller',
    { containerUid: 1000 },
    /what uid 1000 of the container makes belongs to 1000:1001/,
  ],
  ['a read-only mount', { readOnly: true }, /at \/work, read-only:/],
  ['a shared group', { sharedGids: [2000] }, /group 2000 keeps its number$/],
  ['ids as they are', { mapping: 'identity' as const }, /ids are the same inside and on disk$/],
])('tells who owns what: %s', (_, change, expected) => {
  expect(ownershipLines([{ ...mount, ...change }])).toEqual([expect.stringMatching(expected)]);
});

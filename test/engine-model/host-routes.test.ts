import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readHostRoutes } from '../../src/engine/host-routes.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-routes-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const trie = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.2
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Id 200:
     |-- 10.9.0.0
        /16 universe BLACKHOLE
        /24 link UNICAST
`;
const ipv6 = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo
`;

test('routes of every table and addresses, without default routes and broadcasts', () => {
  writeFileSync(join(folder, 'fib_trie'), trie);
  expect(readHostRoutes(folder)).toEqual(['192.0.2.0/24', '192.0.2.2/32', '10.9.0.0/16', '10.9.0.0/24']);
  writeFileSync(join(folder, 'ipv6_route'), ipv6);
  expect(readHostRoutes(folder).slice(4)).toEqual([
    'fd00:0000:0000:0000:0000:0000:0000:0000/64',
    '0000:0000:0000:0000:0000:0000:0000:0001/128',
  ]);
});

test('no table at all is an error, not an empty list', () => {
  expect(() => readHostRoutes(join(folder, 'missing'))).toThrow(/ENOENT/);
});

test('this host’s own addresses are among them', () => {
  const addresses = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).filter(({ family }) => family === 'IPv4').map(({ address }) => `${address}/32`),
  );
  expect(addresses.length).toBeGreaterThan(0);
  expect(readHostRoutes()).toEqual(expect.arrayContaining(addresses));
});

/** A record that is given without being read again is always the one that the ledger's files have. */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FileSystemDisk } from '../../src/uid-allocator/disk.js';
import { type Ledger, openLedger } from '../../src/uid-allocator/ledger.js';
import { readValid } from '../../src/uid-allocator/procedures.js';
import { RememberedRecords } from '../../src/uid-allocator/remembered-records.js';
import { perform } from '../../src/uid-allocator/steps.js';

const id = 'a'.repeat(64);
let state: string;
let ledger: Ledger;
let remembered: RememberedRecords;
let reads: number;
let clock: number;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'cofferdam-remembered-'));
  ledger = openLedger(state);
  const disk = new FileSystemDisk(join(state, 'ledger'));
  reads = 0;
  clock = 0;
  const read = (containerId: string) => {
    reads += 1;
    return perform(disk, readValid(containerId));
  };
  // No two looks at the same time, unless a test says so.
  remembered = new RememberedRecords(disk, read, () => {
    clock += 1;
    return clock;
  });
  const request = { image: 'busybox', digest: 'd', mounts: [], socketGrant: true };
  ledger.settle(ledger.intend(request), id);
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const container = () => join(state, 'ledger/containers', id);
const range = () => join(state, 'ledger/ranges/100000');

/** Past the time for which a file counts as just changed, and once read. */
async function settled(): Promise<void> {
  await sleep(1100);
  expect(remembered.get(id)?.socketGrant).toBe(true);
  reads = 0;
}

test('what has just been written is read each time', () => {
  remembered.get(id);
  remembered.get(id);
  expect(reads).toBe(2);
});

test('what has stood for a while is read once', async () => {
  await settled();
  expect(remembered.get(id)).toBe(remembered.get(id));
  expect(reads).toBe(0);
});

test('a container that is gone has no record', async () => {
  await settled();
  ledger.release(id);
  expect(remembered.get(id)).toBeUndefined();
});

test('a range that is somebody else’s is noticed, in a file of the same size', async () => {
  await settled();
  const text = readFileSync(range(), 'utf8');
  const { token } = JSON.parse(text);
  writeFileSync(`${range()}.new`, text.replace(token, 'f'.repeat(token.length)));
  renameSync(`${range()}.new`, range());
  expect(() => remembered.get(id)).toThrow('belongs to something else');
});

test.each(['in its place', 'over it'])('a record that was written %s holds from then on', async (how) => {
  await settled();
  const changed = readFileSync(container(), 'utf8').replace('"socketGrant":true', '"socketGrant":false');
  if (how === 'over it') writeFileSync(container(), changed);
  else {
    writeFileSync(`${container()}.new`, changed);
    renameSync(`${container()}.new`, container());
  }
  expect(remembered.get(id)?.socketGrant).toBe(false);
  expect(remembered.get(id)?.socketGrant).toBe(false);
  // It is as good as any other, once it has stood for a while.
  await sleep(1100);
  remembered.get(id);
  reads = 0;
  expect(remembered.get(id)?.socketGrant).toBe(false);
  expect(reads).toBe(0);
});

test('a damaged record is an error, each time', async () => {
  await settled();
  writeFileSync(container(), '{');
  expect(() => remembered.get(id)).toThrow('torn');
  expect(() => remembered.get(id)).toThrow('torn');
});

test('a look is believed for less than a millisecond, and not past a change of our own', async () => {
  await settled();
  remembered.get(id);
  const changed = readFileSync(container(), 'utf8').replace('"socketGrant":true', '"socketGrant":false');
  writeFileSync(container(), changed);
  clock -= 1;
  expect(remembered.get(id)?.socketGrant).toBe(true);
  remembered.changed();
  clock -= 1;
  expect(remembered.get(id)?.socketGrant).toBe(false);
});

test('the ledger itself never believes a look past its own changes', async () => {
  await sleep(1100);
  ledger.read(id);
  expect(ledger.read(id)?.id).toBe(id);
  ledger.release(id);
  expect(ledger.read(id)).toBeUndefined();
});

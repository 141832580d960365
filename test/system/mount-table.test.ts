/** The table of what is mounted: as it is now, whatever of it was read before. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MountTable } from '../../src/system/mount-table.js';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'cofferdam-mounts-'));
  mkdirSync(join(base, 'one/point'), { recursive: true });
});
afterEach(() => {
  for (const { mountPoint } of MountTable.read().below(base)) execFileSync('umount', [mountPoint]);
  rmSync(base, { recursive: true, force: true });
});

const names = (): string[] =>
  MountTable.read()
    .below(base)
    .map(({ mountPoint }) => mountPoint.slice(base.length));

test('a mount that comes, goes, or changes is seen at once', () => {
  expect(names()).toEqual([]);
  execFileSync('mount', ['-t', 'tmpfs', 'none', join(base, 'one/point')]);
  expect(names()).toEqual(['/one/point']);
  execFileSync('mount', ['--make-unbindable', join(base, 'one/point')]);
  expect(MountTable.read().at(join(base, 'one/point'))?.propagation).toEqual(['unbindable']);
  execFileSync('umount', [join(base, 'one/point')]);
  expect(names()).toEqual([]);
});

test('so is one whose folder gets another name, of which the kernel tells nobody', () => {
  execFileSync('mount', ['-t', 'tmpfs', 'none', join(base, 'one/point')]);
  expect(names()).toEqual(['/one/point']);
  renameSync(join(base, 'one'), join(base, 'two'));
  expect(names()).toEqual(['/two/point']);
});

test('what was read before is not parsed again', () => {
  const [first, second] = [MountTable.read(), MountTable.read()];
  expect(second.entries).toEqual(first.entries);
  expect(second.at('/proc')).toBe(first.at('/proc'));
});

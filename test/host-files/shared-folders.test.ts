import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HostPaths } from '../../src/host-files/host-paths.js';
import { isShared } from '../../src/host-files/shared-folders.js';
import { defaultSettings } from '../../src/settings/schema.js';

let base: string;
const alice = { uid: 61_234, gid: 61_234, pid: 1, groups: [61_234] };
const paths = new HostPaths(
  () => ({
    stateDir: '/var/lib/cofferdam',
    runDir: '/run/cofferdam',
    listen: [],
    engineSocket: '/run/docker.sock',
    dataRoot: '/var/lib/docker',
  }),
  () => false,
);
const folders = (...names: string[]) => names.map((path) => ({ path, sharedByDefault: true }));
const lookUp = (path: string) =>
  paths.lookUp(path, alice, defaultSettings.hostFiles, folders(join(base, 'shared')));

beforeAll(() => {
  base = mkdtempSync('/var/tmp/cofferdam-shared-');
  for (const name of ['shared', 'shared/inside', 'shared-not', 'elsewhere']) {
    mkdirSync(join(base, name));
    chmodSync(join(base, name), 0o777);
  }
  chmodSync(base, 0o755);
  symlinkSync(join(base, 'elsewhere'), join(base, 'shared/way-out'));
  symlinkSync(join(base, 'shared/inside'), join(base, 'way-in'));
});
afterAll(() => rmSync(base, { recursive: true }));

describe('where folders are listed', () => {
  it.each(['shared', 'shared/inside', 'way-in', 'shared/new'])('%s may be mounted', (name) => {
    expect(lookUp(join(base, name)).unshared).toBeUndefined();
  });

  it.each(['elsewhere', 'shared-not', 'shared/way-out', 'shared/way-out/new', 'shared/../elsewhere', ''])(
    '%s may not',
    (name) => {
      expect(lookUp(join(base, name)).unshared).toBe(true);
    },
  );

  it('makes nothing outside of them', () => {
    const [inside, outside] = [join(base, 'shared/made'), join(base, 'elsewhere/made')];
    const list = folders(join(base, 'shared'));
    expect(paths.make(inside, alice, defaultSettings.hostFiles, list).real).toBe(inside);
    expect(paths.make(outside, alice, defaultSettings.hostFiles, list).unshared).toBe(true);
    expect(existsSync(outside)).toBe(false);
  });
});

it('leaves everything open without a list, and nothing with an empty one', () => {
  expect(paths.lookUp(base, alice, defaultSettings.hostFiles).unshared).toBeUndefined();
  expect(paths.lookUp(base, alice, defaultSettings.hostFiles, []).unshared).toBe(true);
});

it("knows the caller's own home, and the folder for temporary files", () => {
  expect(isShared('/root/work', 0, folders('$HOME'))).toBe(true);
  expect(isShared('/root/work', 61_234, folders('$HOME'))).toBe(false);
  expect(isShared('/tmp/x', 61_234, folders('$TMP'))).toBe(true);
  expect(isShared('/tmp/x', 61_234, folders('$TMPFS', '/no/such/folder'))).toBe(false);
});

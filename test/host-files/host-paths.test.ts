/** Host paths as their caller sees them: real users' ids, real folders. Runs as root, as the daemon does. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HostPaths } from '../../src/host-files/host-paths.js';
import { reach } from '../../src/host-files/reach.js';
import { defaultSettings } from '../../src/settings/schema.js';
import { withCallerCredentials } from '../../src/system/caller-credentials.js';
import type { Caller } from '../../src/uid-allocator/record.js';

const alice: Caller = { uid: 61_001, gid: 61_001, pid: 1, groups: [61_001, 61_500] };
const bob: Caller = { uid: 61_002, gid: 61_002, pid: 1, groups: [61_002] };
const subordinate: Caller = { uid: 165_536, gid: 61_001, pid: 1, groups: [61_001] };
const root: Caller = { uid: 0, gid: 0, pid: 1, groups: [0] };
const settings = defaultSettings.hostFiles;

let base: string;
let paths: HostPaths;

function folder(path: string, owner: Caller, mode: number, gid = owner.gid): string {
  const full = join(base, path);
  mkdirSync(full);
  chownSync(full, owner.uid, gid);
  chmodSync(full, mode);
  return full;
}

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'cofferdam-paths-'));
  chmodSync(base, 0o755);
  const own = (name: string): string => join(base, name);
  paths = new HostPaths(
    () => ({
      stateDir: own('state'),
      runDir: own('run'),
      listen: [own('run/docker.sock')],
      engineSocket: own('engine/docker.sock'),
      dataRoot: own('engine/data'),
    }),
    (uid) => uid === subordinate.uid,
  );
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function lookUp(path: string, caller: Caller = alice, change: Partial<typeof settings> = {}) {
  return paths.lookUp(path, caller, { ...settings, ...change });
}

describe('with the caller’s eyes', () => {
  test('a subordinate id of another user has none', () => {
    const open = folder('open', subordinate, 0o777);
    expect(lookUp(open, subordinate).refusedAt).toContain('subordinate id');
    expect(lookUp(join(open, 'missing'), subordinate).refusedAt).toContain('subordinate id');
    expect(paths.make(join(open, 'missing'), subordinate, settings).refusedAt).toContain('subordinate id');
    expect(lookUp(open, root).real).toBe(open);
  });

  test('a folder of the caller’s own is found with its inode and owner', () => {
    const work = folder('work', alice, 0o700);
    const { ino, dev } = statSync(work, { bigint: true });
    expect(lookUp(work)).toEqual({
      real: work,
      device: dev,
      inode: ino,
      type: 'directory',
      ownerUid: alice.uid,
      ownerGid: alice.gid,
    });
  });

  test('what lies in a folder that the caller can’t search is out of reach, readable or not', () => {
    const home = folder('bob', bob, 0o700);
    const open = folder('bob/open', bob, 0o777);
    expect(lookUp(open)).toEqual({ refusedAt: home });
    expect(lookUp(join(home, 'no-such-name'))).toEqual({ refusedAt: home });
    expect(lookUp(open, bob).real).toBe(open);
    expect(lookUp(open, root).real).toBe(open);
  });

  test('the groups of the caller open folders, as they do for the caller itself', () => {
    folder('project', bob, 0o750, 61_500);
    const inside = folder('project/inside', bob, 0o755);
    expect(lookUp(inside).real).toBe(inside);
    expect(lookUp(inside, { ...alice, groups: [] })).toEqual({ refusedAt: join(base, 'project') });
  });

  test('links are followed as for the caller, and tell where they lead', () => {
    const work = folder('work', alice, 0o755);
    const home = folder('bob', bob, 0o700);
    const secret = folder('bob/secret', bob, 0o755);
    symlinkSync(work, join(base, 'to-work'));
    symlinkSync(secret, join(base, 'to-secret'));
    symlinkSync('/proc/self/root', join(base, 'to-magic'));
    symlinkSync('loop', join(base, 'loop'));
    expect(lookUp(join(base, 'to-work')).real).toBe(work);
    expect(lookUp(join(base, 'to-secret'))).toEqual({ refusedAt: home });
    expect(lookUp(join(base, 'to-magic'))).toMatchObject({ refusedAt: 'ELOOP' });
    expect(lookUp(join(base, 'loop'))).toMatchObject({ refusedAt: 'ELOOP' });
  });

  test('a container that root gave a socket doesn’t see with root’s eyes', () => {
    const caller = { ...root, container: 'a'.repeat(64) };
    expect(lookUp(base, caller)).toMatchObject({ refusedAt: expect.stringContaining('container') });
    expect(paths.make(join(base, 'x'), caller, settings)).toMatchObject({ refusedAt: expect.any(String) });
  });

  test('a name that leads nowhere is missing', () => {
    expect(lookUp(join(base, 'nothing/at/all'))).toEqual({});
    expect(reach('relative', alice)).toEqual({ kind: 'refused', at: 'EINVAL' });
    expect(reach('/a\0b', alice)).toEqual({ kind: 'refused', at: 'EINVAL' });
  });

  test('afterwards the process is root again, with all its groups', () => {
    const before = readFileSync('/proc/thread-self/status', 'utf8').match(/^(Uid|Gid|Groups|CapEff):.*$/gm);
    const during = withCallerCredentials(alice, () => readFileSync('/proc/thread-self/status', 'utf8'));
    expect(during).toMatch(/^Uid:\t0\t0\t0\t61001$/m);
    expect(during).toMatch(/^Gid:\t0\t0\t0\t61001$/m);
    expect(during).toMatch(/^Groups:\t61001 61500 ?$/m);
    expect(() =>
      withCallerCredentials(bob, () => {
        throw new Error('in between');
      }),
    ).toThrow('in between');
    expect(readFileSync('/proc/thread-self/status', 'utf8').match(/^(Uid|Gid|Groups|CapEff):.*$/gm)).toEqual(
      before,
    );
  });

  test('capabilities on files are no help: what root alone may read, the caller can’t', () => {
    writeFileSync(join(base, 'secret'), 'x', { mode: 0o600 });
    expect(() => withCallerCredentials(alice, () => readFileSync(join(base, 'secret')))).toThrow(/EACCES/);
  });
});

describe('a missing source', () => {
  test('is made by the caller and belongs to the caller, with its parents', () => {
    folder('work', alice, 0o755);
    const wanted = join(base, 'work/data/cache');
    const made = paths.make(wanted, alice, settings);
    expect(made).toMatchObject({ real: wanted, ownerUid: alice.uid, ownerGid: alice.gid, type: 'directory' });
    expect(statSync(join(base, 'work/data'))).toMatchObject({
      uid: alice.uid,
      gid: alice.gid,
      mode: 0o40755,
    });
  });

  test('isn’t made where the caller couldn’t make it', () => {
    const home = folder('bob', bob, 0o755);
    expect(paths.make(join(home, 'x/y'), alice, settings)).toEqual({ refusedAt: home });
    expect(() => statSync(join(home, 'x'))).toThrow(/ENOENT/);
  });

  test('is never made in a restricted place', () => {
    mkdirSync(join(base, 'state'));
    expect(paths.make(join(base, 'state/x'), root, settings).restricted).toContain('cofferdam’s state');
    expect(() => statSync(join(base, 'state/x'))).toThrow(/ENOENT/);
  });
});

describe('restricted', () => {
  let server: Server;
  beforeEach(async () => {
    for (const name of ['state', 'run', 'engine', 'engine/data']) mkdirSync(join(base, name));
    server = createServer();
    await new Promise<void>((done) => server.listen(join(base, 'engine/docker.sock'), done));
  });
  afterEach(() => new Promise<void>((done) => void server.close(() => done())));

  test.each([
    ['/proc', /proc/],
    ['/proc/1', /proc/],
    ['/sys/kernel', /sys/],
    ['/dev/null', /dev/],
    ['/', /contains/],
    ['/run', /\/run/],
    ['/var/run', /\/run/],
    ['/run/nothing/here', /\/run/],
    ['/var/run/docker.sock', /docker\.sock/],
    ['/var/lib/docker/volumes', /\/var\/lib\/docker/],
  ])('%s', (path, why) => {
    expect(lookUp(path, root).restricted).toMatch(why);
    expect(lookUp(path, alice).restricted).toMatch(why);
  });

  test('our own folders and the engine’s, what lies in them, and what holds them', () => {
    for (const name of [
      'state',
      'run',
      'engine/data',
      'engine/data/volumes/x',
      'engine',
      'engine/docker.sock',
    ]) {
      expect(lookUp(join(base, name), root).restricted, name).toBeDefined();
    }
    expect(lookUp(base, root).restricted).toMatch(/contains/);
    expect(lookUp(join(base, 'enginery'), root).restricted).toBeUndefined();
  });

  test('a socket by another name', () => {
    linkSync(join(base, 'engine/docker.sock'), join(base, 'harmless'));
    symlinkSync(join(base, 'engine/docker.sock'), join(base, 'link'));
    expect(lookUp(join(base, 'harmless'))).toMatchObject({
      type: 'socket',
      restricted: 'it is the engine’s socket',
    });
    expect(lookUp(join(base, 'link')).restricted).toBeDefined();
  });

  test('a folder by another mount of it, and a folder that holds such a mount', () => {
    mkdirSync(join(base, 'outer/inner'), { recursive: true });
    mkdirSync(join(base, 'engine/data/volumes'));
    const mounted = spawnSync('mount', [
      '--bind',
      join(base, 'engine/data/volumes'),
      join(base, 'outer/inner'),
    ]);
    expect(mounted.status).toBe(0);
    try {
      expect(lookUp(join(base, 'outer/inner')).restricted).toMatch(/another name/);
      expect(lookUp(join(base, 'outer')).restricted).toMatch(/another name/);
    } finally {
      spawnSync('umount', [join(base, 'outer/inner')]);
    }
    expect(lookUp(join(base, 'outer')).restricted).toBeUndefined();
  });

  test('what the settings deny, and below /run what they allow', () => {
    const denied = folder('denied', alice, 0o755);
    expect(lookUp(denied, alice, { deny: [denied] }).restricted).toMatch(/hostFiles\.deny/);
    expect(lookUp('/run/lock', root, { allow: ['/run/lock'] }).restricted).toBeUndefined();
    expect(lookUp('/run', root, { allow: ['/run/lock'] }).restricted).toBeDefined();
    expect(lookUp('/run/docker.sock', root, { allow: ['/run'] }).restricted).toBeDefined();
  });
});

describe('shared project groups', () => {
  test('are named in the settings, own the source, and have the caller as a member', () => {
    const project = folder('project', bob, 0o2770, 61_500);
    expect(lookUp(project, alice, { groups: [61_500] }).sharedGids).toEqual([61_500]);
    expect(lookUp(project, alice, { groups: [61_501] }).sharedGids).toBeUndefined();
    expect(lookUp(project, alice).sharedGids).toBeUndefined();
    expect(lookUp(project, bob, { groups: [61_500] }).sharedGids).toBeUndefined();
  });

  test('are never groups of the system', () => {
    const project = folder('project', bob, 0o775, 42);
    expect(
      lookUp(project, { ...alice, groups: [42] }, { groups: ['shadow', 42] }).sharedGids,
    ).toBeUndefined();
  });
});

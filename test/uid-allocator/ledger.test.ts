/** The ledger on a real disk: what it keeps, and what it says of files that it can't believe. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDigest } from '../../src/uid-allocator/create-digest.js';
import { HostIds } from '../../src/uid-allocator/host-ids.js';
import { type Ledger, openLedger } from '../../src/uid-allocator/ledger.js';
import { FIRST_BASE, RANGE_SIZE } from '../../src/uid-allocator/range.js';
import type { EngineContainer } from '../../src/uid-allocator/reclaim.js';
import type { IntentRequest } from '../../src/uid-allocator/record.js';

let state: string;
let hostIds: HostIds;
let ledger: Ledger;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'cofferdam-ledger-'));
  hostIds = new HostIds(join(state, 'etc'));
  ledger = openLedger(state, { hostIds });
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const inLedger = (...path: string[]): string => join(state, 'ledger', ...path);
const bounds = (blocks: number) => ({ first: FIRST_BASE, last: FIRST_BASE + blocks * RANGE_SIZE - 1 });
const id = (digit: string): string => digit.repeat(64);

function request(name: string, change: Partial<IntentRequest> = {}): IntentRequest {
  return {
    name,
    image: 'busybox',
    digest: createDigest('busybox', {}),
    mounts: [],
    socketGrant: false,
    ...change,
  };
}

function create(name: string, containerId: string): void {
  ledger.settle(ledger.intend(request(name)), containerId);
}

function shown(containerId: string, name: string, change: Partial<EngineContainer> = {}): EngineContainer {
  const digest = createDigest('busybox', {});
  return { id: containerId, name, image: 'busybox', created: Date.now(), isolated: true, digest, ...change };
}

describe('a create request', () => {
  test('gets the first range, and its record carries what was approved', async () => {
    const mount = {
      source: '/srv/x',
      destination: '/x',
      device: '2049',
      inode: '18446744073709551615',
      readOnly: true,
      mapping: 'identity' as const,
    };
    const caller = { uid: 1000, gid: 1000, pid: 7, groups: [1000, 998] };
    const intent = ledger.intend(request('web', { caller, mounts: [mount], socketGrant: true }));
    expect(intent.range).toEqual({ base: 100_000, size: 65_536 });
    await intent.durable;
    const record = ledger.settle(intent, id('a'), 'sha256:1');
    expect(record).toMatchObject({
      id: id('a'),
      caller,
      mounts: [mount],
      socketGrant: true,
      imageId: 'sha256:1',
    });
    // Another process sees the same.
    expect(openLedger(state, { hostIds }).read(id('a'))).toEqual(record);
    expect(readdirSync(inLedger('intents'))).toEqual([]);
    expect(readdirSync(inLedger('temporary'))).toEqual([]);
  });

  test('gives its range back when the engine refuses; a freed range rests while others are free', () => {
    ledger.abandon(ledger.intend(request('web')));
    expect(readdirSync(inLedger('ranges'))).toEqual([]);
    expect(ledger.intend(request('web')).range.base).toBe(165_536);
  });

  test('of a container that the runtime was asked for first keeps the range that it runs with', () => {
    const intent = ledger.intend(request('web', { caller: { uid: 5, gid: 5, pid: 1, groups: [] } }));
    const running = openLedger(state, { hostIds }).allocateFor(id('a'));
    const record = ledger.settle(intent, id('a'));
    expect(record.range).toEqual(running.range);
    expect(ledger.read(id('a'))).toMatchObject({ range: running.range, caller: { uid: 5 } });
    expect(readdirSync(inLedger('ranges'))).toEqual([String(running.range.base)]);
  });

  test('is refused when every range is in use, and works again when one is freed', () => {
    const small = openLedger(state, { hostIds, pool: bounds(2) });
    small.settle(small.intend(request('one')), id('1'));
    small.settle(small.intend(request('two')), id('2'));
    expect(() => small.intend(request('three'))).toThrow(
      expect.objectContaining({
        code: 'COFFERDAM_RANGES_EXHAUSTED',
        message: expect.stringContaining('all 2 ranges'),
      }),
    );
    expect(readdirSync(inLedger('intents'))).toEqual([]);
    expect(small.usage()).toEqual({ inUse: 2, free: 0 });
    openLedger(state, { hostIds }).release(id('1'));
    expect(small.intend(request('three')).range.base).toBe(100_000);
  });

  test('gets what the pool allows, in every process', () => {
    openLedger(state, { hostIds, pool: { first: 300_000, last: 0xffff_fffe } });
    expect(openLedger(state, { hostIds }).intend(request('a')).range.base).toBe(362_144);
    writeFileSync(inLedger('pool'), '{');
    expect(() => openLedger(state, { hostIds })).toThrow(
      expect.objectContaining({ code: 'COFFERDAM_LEDGER_DAMAGED' }),
    );
  });

  test('never gets ids that the host uses, from the moment it uses them', () => {
    const etc = mkdtempSync(join(state, 'etc-'));
    const careful = openLedger(state, { hostIds: new HostIds(etc) });
    writeFileSync(join(etc, 'subuid'), 'alice:100000:65536\n');
    expect(careful.intend(request('a')).range.base).toBe(165_536);
    writeFileSync(join(etc, 'passwd'), 'ldap:x:231072:5::/:\n');
    expect(careful.intend(request('b')).range.base).toBe(296_608);
  });
});

describe('a container without a create request', () => {
  test('gets a range and no approvals, the same one again', () => {
    const first = ledger.allocateFor('buildkit-step', process.pid);
    expect(first).toMatchObject({ mounts: [], socketGrant: false, process: { pid: process.pid } });
    expect(ledger.allocateFor('buildkit-step', process.pid)).toEqual(first);
  });

  test.each(['../x', '.hidden', 'a/b', '', 'x'.repeat(129)])('with the id %j is refused', (bad) => {
    expect(() => ledger.allocateFor(bad)).toThrow(
      expect.objectContaining({ code: 'COFFERDAM_LEDGER_DAMAGED' }),
    );
  });
});

describe('a caller’s subordinate range', () => {
  test('comes from the top of the pool and stays', () => {
    const range = ledger.subordinateOf(1000);
    expect(range.uidBase).toBeGreaterThan(4_000_000_000);
    expect(range).toEqual({ uidBase: range.uidBase, gidBase: range.uidBase, size: 65_536 });
    expect(ledger.subordinateOf(1001).uidBase).not.toBe(range.uidBase);
    ledger.reclaim([], Date.now() + 1000);
    expect(openLedger(state, { hostIds }).subordinateOf(1000)).toEqual(range);
  });

  test('is what the administrator delegated, if that is nobody else’s', () => {
    const etc = join(state, 'etc');
    mkdirSync(etc);
    writeFileSync(join(etc, 'passwd'), 'alice:x:1000:1000::/:\nbob:x:1001:1001::/:\nldap:x:500000:5::/:\n');
    const entries =
      'alice:100000:65536\n1001:200000:65535\nbob:450000:65536\neve:300000:65536\n1002:300001:65536\n';
    writeFileSync(join(etc, 'subuid'), entries);
    writeFileSync(join(etc, 'subgid'), entries);
    expect(ledger.subordinateOf(1000)).toEqual({ uidBase: 100_000, gidBase: 100_000, size: 65_536 });
    // Too small, or with an existing user's id in it; shared with another's entry.
    for (const uid of [1001, 1002]) expect(ledger.subordinateOf(uid).uidBase).toBeGreaterThan(4_000_000_000);
    // What has begun with a block of the pool stays there: its files are on disk.
    writeFileSync(join(etc, 'subuid'), '1001:700000:65536\n');
    writeFileSync(join(etc, 'subgid'), '1001:700000:65536\n');
    expect(ledger.subordinateOf(1001).uidBase).toBeGreaterThan(4_000_000_000);
  });

  test('holds no account: its ids are one user’s, and so are those of /etc/subuid', () => {
    const etc = join(state, 'etc');
    mkdirSync(etc);
    writeFileSync(join(etc, 'passwd'), 'alice:x:1000:1000::/:\ncarol:x:300005:1005::/:\n');
    writeFileSync(join(etc, 'subuid'), 'alice:300000:65536\n1003:400000:10\nroot:1000000:1000000000\n');
    const { uidBase } = ledger.subordinateOf(1001);
    for (const uid of [uidBase, uidBase + 65_535, 300_000, 365_535, 400_009])
      expect(ledger.isSubordinate(uid)).toBe(true);
    const container = ledger.settle(ledger.intend(request('web')), id('a')).range.base;
    // Accounts, what is root's anyway, and what lineage tells of.
    for (const uid of [0, 1000, 300_005, 299_999, 400_010, 2_000_000, uidBase - 1, container])
      expect(ledger.isSubordinate(uid)).toBe(false);
  });

  test('goes with every approved mount that carries its owner’s rights', () => {
    const mount = { source: '/a', destination: '/b', device: '1', inode: '2', readOnly: false };
    const mounts = [
      { ...mount, mapping: 'caller' as const, ownerUid: 1000, ownerGid: 1000 },
      { ...mount, mapping: 'identity' as const },
    ];
    const record = ledger.settle(ledger.intend(request('web', { mounts })), id('a'));
    expect(record.mounts.map(({ subordinate }) => subordinate)).toEqual([
      ledger.subordinateOf(1000),
      undefined,
    ]);
  });
});

describe('files that can’t be believed', () => {
  test.each([
    ['torn', '{"version":1,"id":'],
    ['empty', ''],
    ['of another version', '{"version":2}'],
    ['of another container', 'swap'],
  ])('a record that is %s is an error that names it, and keeps its range', (_, content) => {
    create('web', id('a'));
    create('db', id('b'));
    const other = readFileSync(inLedger('containers', id('b')), 'utf8');
    writeFileSync(inLedger('containers', id('a')), content === 'swap' ? other : content);
    const named = expect.objectContaining({
      code: 'COFFERDAM_LEDGER_DAMAGED',
      message: expect.stringContaining(`containers/${id('a')}`),
    });
    expect(() => ledger.read(id('a'))).toThrow(named);
    expect(() => ledger.allocateFor(id('a'))).toThrow(named);
    expect(() => ledger.list()).toThrow(named);
    const { problems } = ledger.reclaim([shown(id('b'), 'db')], Date.now() + 1000);
    expect(problems).toEqual([named]);
    expect(readdirSync(inLedger('ranges')).sort()).toEqual(['100000', '165536']);
  });

  test('a record whose range has gone to another is void', () => {
    create('web', id('a'));
    const record = readFileSync(inLedger('containers', id('a')), 'utf8');
    ledger.release(id('a'));
    const small = openLedger(state, { hostIds, pool: bounds(1) });
    small.settle(small.intend(request('db')), id('b'));
    writeFileSync(inLedger('containers', id('a')), record);
    expect(() => ledger.read(id('a'))).toThrow(/the range 100000 belongs to something else/);
    ledger.release(id('a'));
    expect(ledger.read(id('b'))?.range.base).toBe(100_000);
  });

  test('a torn file of a range keeps its block, until a reboot has ended whatever may have used it', () => {
    writeFileSync(inLedger('ranges/100000'), '');
    expect(ledger.intend(request('web')).range.base).toBe(165_536);
    expect(ledger.reclaim([], Date.now()).problems).toEqual([
      expect.objectContaining({ message: expect.stringContaining('ranges/100000') }),
    ]);
    utimesSync(inLedger('ranges/100000'), 1, 1);
    expect(ledger.reclaim([], Date.now()).problems).toEqual([]);
    expect(existsSync(inLedger('ranges/100000'))).toBe(false);
  });

  test('a foreign file among the ranges is named', () => {
    writeFileSync(inLedger('ranges/100001'), 'x');
    expect(ledger.survey().problems).toEqual([
      expect.objectContaining({ message: expect.stringContaining('ranges/100001') }),
    ]);
  });

  test('a torn cursor only costs a look at the disk', () => {
    create('web', id('a'));
    writeFileSync(inLedger('cursor'), 'rubbish');
    expect(ledger.intend(request('db')).range.base).toBe(165_536);
  });
});

describe('reclaim', () => {
  test('frees what the engine no longer has, and keeps what it has', () => {
    create('web', id('a'));
    create('db', id('b'));
    const outcome = ledger.reclaim(
      [shown(id('b'), 'db'), shown(id('c'), 'made past the proxy')],
      Date.now() + 1000,
    );
    expect(outcome).toMatchObject({ released: [id('a')], unknown: [id('c')], problems: [] });
    expect(ledger.list().map((record) => record.id)).toEqual([id('b')]);
  });

  test('leaves alone what was recorded after the engine was asked', () => {
    const listedAt = Date.now() - 1000;
    create('web', id('a'));
    expect(ledger.reclaim([], listedAt).released).toEqual([]);
  });

  test('frees the range of a process that has ended, not that of one that lives', async () => {
    const child = spawn('sleep', ['600']);
    await once(child, 'spawn');
    ledger.allocateFor('step', child.pid);
    expect(ledger.reclaim([], Date.now() + 1000).released).toEqual([]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(ledger.reclaim([], Date.now() + 1000).released).toEqual(['step']);
  });

  /** An intent whose process was killed: that of this test, made out to be another. */
  function leftover(name: string | undefined, age: number, change: Partial<IntentRequest> = {}): string {
    const { name: _, ...unnamed } = request('x', change);
    const { reservation } = ledger.intend(name === undefined ? unnamed : { ...unnamed, name });
    const orphan = {
      ...reservation,
      process: { ...reservation.process, startTime: '1' },
      createdAt: Date.now() - age,
    };
    for (const path of [
      inLedger('intents', reservation.token),
      inLedger('ranges', `${reservation.range.base}`),
    ]) {
      rmSync(path);
      writeFileSync(path, JSON.stringify(orphan));
    }
    return reservation.token;
  }

  test('gives a container that was made just before a crash the approvals of its own request', () => {
    const caller = { uid: 1000, gid: 1000, pid: 1, groups: [] };
    leftover('web', 5000, { caller });
    leftover('db', 5000);
    const outcome = ledger.reclaim([shown(id('a'), 'web')], Date.now());
    expect(outcome).toMatchObject({ settled: [id('a')], abandoned: 0, undecided: 1, unknown: [] });
    expect(ledger.read(id('a'))).toMatchObject({ caller, range: { base: 100_000 } });
  });

  test.each([
    ['of another name', { name: 'db' }],
    ['of another image', { image: 'alpine' }],
    ['with other mounts', { digest: 'other' }],
    ['older than the request', { created: 1000 }],
    ['that isn’t isolated', { isolated: false }],
  ])('doesn’t take a container %s for it', (_, change) => {
    leftover('web', 300_000);
    const outcome = ledger.reclaim([shown(id('a'), 'web', change)], Date.now());
    expect(outcome).toMatchObject({ settled: [], abandoned: 1, undecided: 0 });
    expect(readdirSync(inLedger('ranges'))).toEqual([]);
  });

  test('gives nobody the approvals of another caller’s request that looks the same', () => {
    leftover(undefined, 5000, { caller: { uid: 1000, gid: 1000, pid: 1, groups: [] } });
    leftover(undefined, 5000, { caller: { uid: 1001, gid: 1001, pid: 1, groups: [] } });
    const outcome = ledger.reclaim([shown(id('a'), 'eager_turing')], Date.now());
    expect(outcome).toMatchObject({ settled: [], unknown: [id('a')] });
  });

  test('frees a block that nothing refers to any more', () => {
    const token = leftover('web', 300_000);
    rmSync(inLedger('intents', token));
    ledger.reclaim([], Date.now());
    expect(readdirSync(inLedger('ranges'))).toEqual([]);
  });

  test('sweeps what dead processes were writing', () => {
    writeFileSync(inLedger('temporary/999999999-1-ab'), 'half');
    ledger.reclaim([], Date.now());
    expect(readdirSync(inLedger('temporary'))).toEqual([]);
  });
});

test('the folders are root’s alone', () => {
  for (const folder of ['.', 'ranges', 'containers', 'intents', 'callers']) {
    expect(statSync(inLedger(folder)).mode & 0o777).toBe(0o700);
  }
  create('web', id('a'));
  expect(statSync(inLedger('containers', id('a'))).mode & 0o777).toBe(0o600);
});

test('a folder that can’t be used is an error with a code', () => {
  const blocked = join(state, 'blocked');
  writeFileSync(blocked, '');
  expect(() => openLedger(blocked)).toThrow(
    expect.objectContaining({ code: 'COFFERDAM_LEDGER_UNAVAILABLE' }),
  );
});

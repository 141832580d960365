/**
 * Host paths that were approved for a container: whose rights they carry on disk, that read-only stays read-only
 * whatever the container does, and that mounts on the host reach it where they should.
 */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApprovedMount } from '../../src/uid-allocator/record.js';
import { hostCommand } from '../support/engines.js';
import { approvalOf, IsolatingEngine } from './support/isolating-engine.js';

let isolating: IsolatingEngine;
let folder: string;
const subordinate = { uidBase: 3_000_000_000, gidBase: 3_000_000_000, size: 65_536 };

beforeAll(async () => {
  isolating = await IsolatingEngine.start({ version: '26.1' });
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-binds-'));
  chmodSync(folder, 0o755);
});
afterAll(async () => {
  await isolating?.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

function newFolder(name: string, uid = 0): string {
  const path = join(folder, name);
  mkdirSync(path);
  chownSync(path, uid, uid);
  return path;
}

/** Runs a script in a container with approved binds; its output, errors included. */
async function runWith(
  mounts: readonly ApprovedMount[],
  options: readonly string[],
  text: string,
): Promise<string> {
  const id = await isolating.createWith(
    mounts,
    '--network',
    'none',
    ...options,
    'busybox',
    'sh',
    '-c',
    `exec 2>&1; ${text}`,
  );
  const { stdout, stderr } = await isolating.engine.docker('start', '--attach', id);
  await isolating.docker('rm', '--force', id);
  isolating.ledger.release(id);
  return (stdout + stderr).trim();
}

function owner(path: string): string {
  const { uid, gid } = statSync(path);
  return `${uid}:${gid}`;
}

test('identity: owners on disk are what the container says', async () => {
  const source = newFolder('identity');
  const output = await runWith(
    [approvalOf(source, '/mnt')],
    ['--volume', `${source}:/mnt`],
    'touch /mnt/root /mnt/app; chown 999:998 /mnt/app; stat -c %u:%g /mnt/app',
  );
  expect(output).toBe('999:998');
  expect([owner(join(source, 'root')), owner(join(source, 'app'))]).toEqual(['0:0', '999:998']);
});

test('caller: container root is the caller on disk, every other id is the caller’s subordinate', async () => {
  const source = newFolder('caller', 1000);
  writeFileSync(join(source, 'secret-of-root'), 'secret', { mode: 0o600 });
  const approval = approvalOf(source, '/mnt', {
    mapping: 'caller',
    ownerUid: 1000,
    ownerGid: 1000,
    subordinate,
  });
  const bind = ['--volume', `${source}:/mnt`];
  const output = await runWith(
    [approval],
    bind,
    'cd /mnt; touch mine other; chmod 4755 mine; chown 999:999 other; stat -c %u:%g . mine other secret-of-root; cat secret-of-root; chown 0 secret-of-root',
  );
  expect(output.split('\n')).toEqual([
    '0:0',
    '0:0',
    '999:999',
    '65534:65534',
    "cat: can't open 'secret-of-root': Permission denied",
    'chown: secret-of-root: Operation not permitted',
  ]);
  expect([owner(join(source, 'mine')), owner(join(source, 'other'))]).toEqual([
    '1000:1000',
    '3000000999:3000000999',
  ]);
  // Another container, with another range, sees the same owners.
  expect(await runWith([approval], bind, 'stat -c %u:%g /mnt/other')).toBe('999:999');
});

test('caller with --user: the caller is that user inside', async () => {
  const source = newFolder('caller-user', 1000);
  const approval = approvalOf(source, '/mnt', {
    mapping: 'caller',
    ownerUid: 1000,
    ownerGid: 1000,
    containerUid: 1000,
    containerGid: 1000,
    subordinate,
  });
  const output = await runWith(
    [approval],
    ['--user', '1000:1000', '--volume', `${source}:/mnt`],
    'touch /mnt/f; stat -c %u:%g /mnt /mnt/f',
  );
  expect(output.split('\n')).toEqual(['1000:1000', '1000:1000']);
  expect(owner(join(source, 'f'))).toBe('1000:1000');
});

test('a single file', async () => {
  const source = join(folder, 'file');
  writeFileSync(source, 'before');
  const output = await runWith(
    [approvalOf(source, '/etc/one')],
    ['--volume', `${source}:/etc/one`],
    'cat /etc/one; echo; echo after > /etc/one; cat /etc/one; stat -c %u:%g /etc/one',
  );
  expect(output.split('\n')).toEqual(['before', 'after', '0:0']);
});

const attempts =
  'mount -o remount,rw /mnt; mount -o remount,bind,rw /mnt; touch /mnt/new; mkdir /again; mount --bind /mnt /again; mount -o remount,bind,rw /again; touch /again/new; unshare -m sh -c "mount -o remount,bind,rw /mnt; touch /mnt/new"; ls /mnt';

test.each([[[]], [['--privileged']], [['--cap-add', 'SYS_ADMIN']]])(
  'a read-only bind stays read-only: %j',
  async (options) => {
    const source = newFolder(`read-only-${options.join('')}`);
    writeFileSync(join(source, 'old'), '');
    const output = await runWith(
      [approvalOf(source, '/mnt', { readOnly: true })],
      [...options, '--volume', `${source}:/mnt:ro`],
      attempts,
    );
    expect(output.split('\n').at(-1)).toBe('old');
    expect(output).not.toContain('new\n');
  },
);

test('an approval for reading only holds although the engine was told otherwise', async () => {
  const source = newFolder('approved-for-reading');
  writeFileSync(join(source, 'old'), '');
  const output = await runWith(
    [approvalOf(source, '/mnt', { readOnly: true })],
    ['--privileged', '--volume', `${source}:/mnt`],
    attempts,
  );
  expect(output.split('\n').at(-1)).toBe('old');
});

test('a read-only volume can not be made writable by a privileged container', async () => {
  await isolating.docker('volume', 'create', 'locked');
  const output = await runWith(
    [],
    ['--privileged', '--volume', 'locked:/mnt:ro'],
    `${attempts}; ls /mnt | wc -l`,
  );
  expect(output.split('\n').at(-1)).toBe('0');
});

test.each(['rslave', 'rshared'])(
  'mounts on the host reach a bind with %s, and none leave it',
  async (how) => {
    const source = newFolder(`propagation-${how}`);
    mkdirSync(join(source, 'late'));
    mkdirSync(join(source, 'own'));
    await hostCommand('mount', ['--bind', source, source]);
    await hostCommand('mount', ['--make-shared', source]);
    try {
      const id = await isolating.createWith(
        [approvalOf(source, '/mnt')],
        ...['--network', 'none', '--privileged', '--volume', `${source}:/mnt:${how}`],
        ...['busybox', 'sh', '-c', 'mount -t tmpfs own /mnt/own; sleep 1000'],
      );
      await isolating.docker('start', id);
      await hostCommand('mount', ['-t', 'tmpfs', 'late', join(source, 'late')]);
      writeFileSync(join(source, 'late/seen'), '');
      expect(await isolating.docker('exec', id, 'ls', '/mnt/late')).toBe('seen');
      expect(await isolating.docker('exec', id, 'grep', '-c', ' /mnt/own ', '/proc/mounts')).toBe('1');
      expect(
        await hostCommand('grep', ['-c', ' - tmpfs own ', '/proc/self/mountinfo']).catch(() => '0'),
      ).toBe('0');
      await isolating.docker('rm', '--force', id);
    } finally {
      await hostCommand('umount', ['--recursive', source]);
    }
  },
);

test('a bind with a mount below it comes along, and none is left on the host afterwards', async () => {
  const source = newFolder('nested');
  mkdirSync(join(source, 'inner'));
  await hostCommand('mount', ['-t', 'tmpfs', 'inner', join(source, 'inner')]);
  try {
    writeFileSync(join(source, 'inner/f'), '');
    const output = await runWith(
      [approvalOf(source, '/mnt')],
      ['--volume', `${source}:/mnt`],
      'stat -c %u:%g /mnt/inner/f; touch /mnt/inner/g',
    );
    expect(output).toBe('0:0');
    expect(owner(join(source, 'inner/g'))).toBe('0:0');
  } finally {
    await hostCommand('umount', [join(source, 'inner')]);
  }
});

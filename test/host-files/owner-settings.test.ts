/** What the settings change about who owns what: callers that are root, and groups that share a folder. */
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HostUser } from './host-user.js';
import { openWorld, type World } from './world.js';

let world: World;
let alice: HostUser;
let users = 62_500;

const work = (): string => join(alice.home, 'work');

describe.each(['26.1', '28.5'] as const)('on engine %s', (version) => {
  beforeAll(async () => {
    world = await openWorld('cofferdam', version);
  });
  afterAll(() => world?.stop());
  beforeEach(async () => {
    alice = new HostUser({ uid: ++users, groups: [63_000], homes: world.base });
    await alice.shell('mkdir work && echo mine > work/file');
  });

  describe('root callers', () => {
    const asRoot = (script: string) =>
      world.asRoot('run', '--rm', '--network', 'none', '-v', `${work()}:/w`, 'busybox', 'sh', '-c', script);

    test('owner: sudo docker run works for the folder’s owner', async () => {
      expect(await asRoot('stat -c %u /w/file; touch /w/new')).toMatchObject({ code: 0, stdout: '0\n' });
      expect(statSync(join(work(), 'new'))).toMatchObject({ uid: alice.uid, gid: alice.gid });
    });

    test.each([
      ['identity', (uid: number) => ({ code: 0, stdout: `${uid}\n` })],
      ['deny', () => ({ code: 125, stderr: expect.stringContaining('hostFiles.rootCallers') })],
    ] as const)('%s', async (rootCallers, expected) => {
      await withSettings({ rootCallers }, async () => {
        expect(await asRoot('stat -c %u /w/file')).toMatchObject(expected(alice.uid));
      });
    });
  });

  test('a group that the settings name keeps its number: readable with --group-add, kept on the caller’s own files', async () => {
    const project = join(work(), 'project');
    mkdirSync(project);
    chownSync(project, alice.uid, 63_000);
    chmodSync(project, 0o2770);
    writeFileSync(join(project, 'of-root'), 'for the group\n');
    chownSync(join(project, 'of-root'), 0, 63_000);
    chmodSync(join(project, 'of-root'), 0o660);
    const flags = ['--user', `${alice.uid}:${alice.gid}`, '-v', `${project}:/p`];
    const script = 'touch /p/new; stat -c %g /p/new; cat /p/of-root; echo x >> /p/of-root';
    const inside = [
      'run',
      '--rm',
      '--network=none',
      '--group-add',
      '63000',
      ...flags,
      'busybox',
      'sh',
      '-c',
      script,
    ];
    // Not named: the group is nobody's.
    expect((await world.as(alice, ...inside)).stdout).not.toContain('for the group');
    await withSettings({ groups: [63_000] }, async () => {
      const { stdout, stderr } = await world.as(alice, ...inside);
      expect(stdout).toBe('63000\nfor the group\n');
      // Another user's file stays the other user's: the kernel lets nobody write what has no owner inside.
      expect(stderr).toContain('Permission denied');
    });
    expect(statSync(join(project, 'new'))).toMatchObject({ uid: alice.uid, gid: 63_000 });
  });
});

/** Runs `inside` while the settings have these host files. */
async function withSettings(hostFiles: object, inside: () => Promise<void>): Promise<void> {
  await change({ configurationFileVersion: 2, hostFiles });
  try {
    await inside();
  } finally {
    await change({ configurationFileVersion: 2 });
  }
}

/** Changes the settings and waits until the daemon says that it has read them. */
async function change(settings: object): Promise<void> {
  const { cofferdam } = world;
  if (!cofferdam) throw new Error('this world has no cofferdam');
  const before = cofferdam.log.length;
  cofferdam.writeSettings(settings);
  while (!/settings/i.test(cofferdam.log.slice(before)))
    await new Promise((resolve) => setTimeout(resolve, 20));
}

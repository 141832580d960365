/**
 * The race between looking at a path and mounting it, 10,000 times: a user exchanges what lies there for a link to a
 * folder that it may not enter. What is opened for mounting is what was looked at, or nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HostPaths } from '../../src/host-files/host-paths.js';
import { type BindContext, permitBind } from '../../src/runtime/bind-approval.js';
import { RuntimeRefusal } from '../../src/runtime/refusal.js';
import { defaultSettings } from '../../src/settings/schema.js';
import { MountTable } from '../../src/system/mount-table.js';
import { blockAt } from '../../src/uid-allocator/range.js';
import type { ApprovedMount } from '../../src/uid-allocator/record.js';

const mallory = { uid: 61_001, gid: 61_001, pid: 1, groups: [61_001] };
const range = blockAt(0);
const { base: subordinate } = blockAt(100);

let base: string;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'cofferdam-race-'));
  chmodSync(base, 0o755);
  mkdirSync(join(base, 'secret/inner'), { recursive: true });
  chmodSync(join(base, 'secret'), 0o700);
  mkdirSync(join(base, 'home/work/inner'), { recursive: true });
  symlinkSync(join(base, 'secret'), join(base, 'home/link'));
  for (const name of ['home', 'home/work', 'home/work/inner']) chownSync(join(base, name), 61_001, 61_001);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

function contextFor(mount: ApprovedMount): BindContext {
  const record = {
    version: 1 as const,
    id: 'c',
    range,
    mounts: [mount],
    socketGrant: false,
    createdAt: 0,
    token: 't',
  };
  return {
    record,
    range,
    layout: { dataRoot: '/var/lib/docker', kind: 'container' },
    mountTable: new MountTable(''),
    joined: [],
    processArguments: [],
    processUser: { uid: 0, gid: 0 },
  };
}

test('a path that is exchanged all the time shows what was approved or nothing', async () => {
  const paths = new HostPaths(
    () => ({
      stateDir: join(base, 'state'),
      runDir: join(base, 'run'),
      listen: [],
      engineSocket: join(base, 'engine.sock'),
      dataRoot: join(base, 'data'),
    }),
    () => false,
  );
  const home = join(base, 'home');
  const own = statSync(join(home, 'work/inner'), { bigint: true }).ino;
  const program = fileURLToPath(new URL('swapper.mjs', import.meta.url));
  const swapping = [join(home, 'work'), join(home, 'link'), join(home, 'spare')];
  const swapper = spawn(process.execPath, [program, ...swapping], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(swapper.stdout, 'data');
  const wrong: string[] = [];
  const counts = { mounted: 0, refused: 0, unseen: 0 };
  try {
    // And on until the race was really run: each of its outcomes was seen.
    for (let attempt = 0; attempt < 10_000 || Object.values(counts).includes(0); attempt++) {
      const path = join(home, 'work/inner');
      const { real, device, inode } = paths.lookUp(path, mallory, defaultSettings.hostFiles);
      if (real === undefined || device === undefined || inode === undefined) {
        counts.unseen++;
        continue;
      }
      if (inode !== own) wrong.push(real);
      const mount: ApprovedMount = {
        source: real,
        destination: '/w',
        device: String(device),
        inode: String(inode),
        readOnly: false,
        mapping: 'caller',
        ownerUid: mallory.uid,
        ownerGid: mallory.gid,
        subordinate: { uidBase: subordinate, gidBase: subordinate, size: 65_536 },
      };
      try {
        const { descriptor } = permitBind(
          { destination: '/w', type: 'bind', source: real },
          contextFor(mount),
        );
        const opened = fstatSync(descriptor, { bigint: true }).ino;
        closeSync(descriptor);
        if (opened !== own) wrong.push(`mounted ${opened}`);
        counts.mounted++;
      } catch (error) {
        if (!(error instanceof RuntimeRefusal)) throw error;
        counts.refused++;
      }
    }
  } finally {
    swapper.kill('SIGKILL');
    await once(swapper, 'exit');
  }
  expect(wrong).toEqual([]);
}, 180_000);

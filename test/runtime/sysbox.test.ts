/**
 * Sysbox as the backend: what it is handed, seen by a stand-in on a real engine. The real one can't be installed
 * everywhere; docs/compatibility.md says what was and wasn't run against it.
 */
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { detectBackend } from '../../src/runtime/backend.js';
import { engineFiles } from '../support/engine-releases.js';
import { approvalOf, IsolatingEngine } from './support/isolating-engine.js';

const specificationSchema = z.looseObject({
  root: z.looseObject({ path: z.string() }),
  mounts: z.array(z.looseObject({ destination: z.string(), source: z.string().optional() })),
  linux: z.looseObject({ namespaces: z.array(z.looseObject({ type: z.string() })) }),
});
const noteSchema = z.object({
  verb: z.string(),
  argv: z.array(z.string()),
  given: specificationSchema.optional(),
  engine: specificationSchema.optional(),
  rootOwner: z.string().optional(),
  binds: z.record(z.string(), z.string()).optional(),
});
type Note = z.infer<typeof noteSchema>;

let isolating: IsolatingEngine;
let folder: string;
beforeAll(async () => {
  isolating = await IsolatingEngine.start({ version: '26.1' }, true, { sysbox: true });
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-sysbox-'));
});
afterAll(async () => {
  await isolating?.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

function notes(id: string): Note[] {
  const lines = readFileSync(join(isolating.engine.folder, 'given'), 'utf8').trim().split('\n');
  return lines.map((line) => noteSchema.parse(JSON.parse(line))).filter(({ argv }) => argv.includes(id));
}

/** The specification that was handed over, with the engine's own one edited as it should be. */
function created(id: string): { note: Note; expected: unknown } {
  const note = notes(id).find(({ verb }) => verb === 'create');
  if (note?.engine === undefined) throw new Error(`${id} was not handed over`);
  const base = isolating.ledger.read(id)?.range.base;
  const mappings = [{ containerID: 0, hostID: base, size: 65_536 }];
  const { engine } = note;
  const expected = {
    ...engine,
    linux: {
      ...engine.linux,
      namespaces: [...engine.linux.namespaces, { type: 'user' }],
      uidMappings: mappings,
      gidMappings: mappings,
    },
  };
  return { note, expected };
}

const sleeping = ['--network', 'none', 'busybox', 'sleep', '1000'];

test('a container gets its own range, and nothing else changes', async () => {
  const first = await isolating.docker('run', '--detach', '--volume', 'kept:/v', ...sleeping);
  const second = await isolating.docker('run', '--detach', '--privileged', '--read-only', ...sleeping);
  for (const id of [first, second]) {
    const { note, expected } = created(id);
    expect(note.given).toEqual(expected);
    // Sysbox shifts a root file system that belongs to the host's root.
    expect(note.rootOwner).toBe('0:0');
  }
  expect(isolating.ledger.read(first)?.range.base).not.toBe(isolating.ledger.read(second)?.range.base);
  await isolating.docker('exec', first, 'true');
  await isolating.docker('rm', '--force', '--volumes', first, second);
  expect(new Set(notes(first).map(({ verb }) => verb))).toEqual(
    new Set(['create', 'start', 'exec', 'kill', 'delete']),
  );
});

test('without a daemon it is the same', async () => {
  isolating.stopServing();
  try {
    const id = await isolating.docker('run', '--detach', ...sleeping);
    const { note, expected } = created(id);
    expect(note.given).toEqual(expected);
    await isolating.docker('rm', '--force', id);
  } finally {
    isolating.serve();
  }
});

test('a host path is handed over as the very folder that was approved, with its rights', async () => {
  const mine = join(folder, 'mine');
  const whole = join(folder, 'whole');
  for (const path of [mine, whole]) mkdirSync(path);
  chownSync(mine, 1000, 1000);
  const subordinate = { uidBase: 3_000_000_000, gidBase: 3_000_000_000, size: 65_536 };
  const id = await isolating.createWith(
    [
      approvalOf(mine, '/mine', { mapping: 'caller', ownerUid: 1000, ownerGid: 1000, subordinate }),
      approvalOf(whole, '/whole', { readOnly: true }),
    ],
    ...['--volume', `${mine}:/mine`, '--volume', `${whole}:/whole`, ...sleeping],
  );
  await isolating.docker('start', id);
  const base = isolating.ledger.read(id)?.range.base;
  const { note } = created(id);
  const sources = new Map(note.given?.mounts.map(({ destination, source }) => [destination, source ?? '']));
  for (const path of ['/mine', '/whole']) expect(sources.get(path)).toMatch(/\/runtime\/mounts\//);
  // Shifted already, so that Sysbox takes it as it is; the other one it shifts by the range, like a volume.
  expect(note.binds).toMatchObject({ '/mine': `${base}:${base}`, '/whole': '0:0' });
  const refused = await isolating.engine.docker('exec', id, 'touch', '/whole/f');
  expect(refused.stderr).toMatch(/Read-only file system/);
  await isolating.docker('rm', '--force', id);
});

test('what was not approved is refused before Sysbox hears of it', async () => {
  const { code, stderr } = await isolating.engine.docker('run', '--volume', '/etc:/e', ...sleeping);
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/was not approved for this container/);
});

describe('finding it', () => {
  let path: string;
  beforeAll(async () => {
    path = mkdtempSync(join(tmpdir(), 'cofferdam-backend-'));
    // Any program of the right name that tells a version: a script would be taken for our own launcher.
    const { bin } = await engineFiles('26.1');
    for (const name of ['runc', 'sysbox-runc']) {
      copyFileSync(join(bin, 'runc'), join(path, name));
      chmodSync(join(path, name), 0o755);
    }
  });
  afterAll(() => rmSync(path, { recursive: true, force: true }));

  test('sysbox-runc without its manager is not used, and the reason is told', () => {
    const found = detectBackend({ path, sysboxSocket: join(path, 'none.sock') });
    expect(found).toMatchObject({ kind: 'runc', binary: join(path, 'runc') });
    expect(found.version).toMatch(/^runc 1\./);
    expect(found.reason).toMatch(/sysbox-mgr does not listen/);
  });

  test('a socket that a dead manager left is not enough', async () => {
    const socket = join(path, 'sysmgr.sock');
    const server = createServer().listen(socket);
    try {
      const found = detectBackend({ path, sysboxSocket: socket });
      expect(found.kind).toBe('runc');
      expect(found.reason).toMatch(/sysbox-mgr does not run/);
    } finally {
      server.close();
    }
  });

  test('with its manager it is preferred', async () => {
    const socket = join(path, 'sysmgr.sock');
    const server = createServer().listen(socket);
    const before = process.title;
    // The process whose name is looked for: this one, for a moment.
    process.title = 'sysbox-mgr';
    try {
      const found = detectBackend({ path, sysboxSocket: socket });
      expect(found).toMatchObject({ kind: 'sysbox', binary: join(path, 'sysbox-runc') });
      expect(found.version).toMatch(/^sysbox-runc 1\./);
    } finally {
      process.title = before;
      server.close();
    }
  });
});

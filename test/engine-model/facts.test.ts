import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngineClient, EngineError } from '../../src/engine/client.js';
import { type EngineEvent, type EventWatch, watchEvents } from '../../src/engine/events.js';
import type { SocketImageFacts } from '../../src/engine/fact-types.js';
import { FactSource, type LedgerFacts } from '../../src/engine/facts.js';
import { type Engine, importBusybox, startEngine } from '../support/engines.js';

interface Request {
  readonly caller: string;
}

let engine: Engine;
let client: EngineClient;
let facts: FactSource<Request>;
let watch: EventWatch;
const events: EngineEvent[] = [];
const states: string[] = [];
const ledger = new Map<string, LedgerFacts>();

/** Waits until something is so; the test's own limit ends it when it never is. */
async function until(so: () => boolean): Promise<void> {
  while (!so()) await new Promise((resolve) => setTimeout(resolve, 10));
}

beforeAll(async () => {
  engine = await startEngine({ version: '26.1', runtimes: { 'sysbox-runc': '/usr/bin/true' } });
  await importBusybox(engine.cli);
  client = new EngineClient(engine.socket);
  facts = new FactSource({
    client,
    ledgerRead: (id) => ledger.get(id),
    isolatingRuntimes: new Set(['sysbox-runc']),
    resolvePath: (path, { caller }) => ({ real: `${caller}:${path}` }),
  });
  watch = watchEvents(
    client,
    (event) => {
      events.push(event);
      facts.noteEvent(event);
    },
    () => {
      states.push('gap');
      facts.noteGap();
    },
    () => {
      states.push('watching');
      facts.noteWatching();
    },
  );
  await until(() => states.includes('watching'));
});

afterAll(async () => {
  watch?.close();
  await client?.close();
  await engine?.stop();
});

const request = (): Request => ({ caller: 'someone' });

test('the engine itself', async () => {
  const known = await facts.engine();
  expect(known).toMatchObject({
    version: expect.stringMatching(/^26\.1/),
    apiVersion: '1.45',
    minimumApiVersion: '1.24',
  });
  expect(known.dataRoot).toBe(engine.files.data);
  // From now on without waiting.
  expect(facts.engine()).toBe(known);
});

test('containers by id, prefix and name, with what the ledger says of them', async () => {
  const id = await engine.cli.must(
    'create',
    '--name',
    'web',
    '--runtime',
    'sysbox-runc',
    '-v',
    'data:/data:ro',
    'busybox',
  );
  const refs = [id, id.slice(0, 12), 'web', '/web'];
  const needs = refs.map((ref) => ({ kind: 'container', ref }) as const);
  const before = await facts.resolve(needs, request());
  for (const ref of refs)
    expect(before.container(ref)).toMatchObject({ id, name: 'web', isolated: false, running: false });
  ledger.set(id, { caller: { uid: 7, gid: 7, pid: 1, groups: [] }, socketGrant: true });
  const after = await facts.resolve(needs, request());
  expect(after.container('web')).toMatchObject({ isolated: true, socketGranted: true, owner: { uid: 7 } });
  expect(after.container(id)?.mounts).toEqual([
    expect.objectContaining({
      type: 'volume',
      name: 'data',
      destination: '/data',
      writable: false,
      driver: 'local',
    }),
  ]);
});

test('names follow a rename at once, ids stay', async () => {
  const first = await engine.cli.must('create', '--name', 'first', 'busybox');
  const second = await engine.cli.must('create', '--name', 'second', 'busybox');
  const look = () => facts.resolve([{ kind: 'container', ref: 'first' }], request());
  expect((await look()).container('first')?.id).toBe(first);
  await client.run('POST', '/containers/first/rename', { query: { name: 'third' } });
  expect((await look()).container('first')).toBeUndefined();
  await client.run('POST', '/containers/second/rename', { query: { name: 'first' } });
  expect((await look()).container('first')?.id).toBe(second);
});

test('whether facts still hold is known without asking, and never said of what cannot be known', async () => {
  const id = await engine.cli.must('create', '--name', 'held', 'busybox');
  const record: LedgerFacts = { socketGrant: false };
  ledger.set(id, record);
  const look = (...needs: Parameters<typeof facts.resolve>[0]) => facts.resolve(needs, request());
  const byId = { kind: 'container', ref: id } as const;
  const asked = await look(byId);
  expect(facts.stillHold(asked)).toBe(false);
  const remembered = await look(byId);
  expect(facts.stillHold(remembered)).toBe(true);
  expect(facts.stillHold(await look({ kind: 'container', ref: 'held' }))).toBe(false);
  expect(facts.stillHold(await look(byId, { kind: 'path', path: '/' }))).toBe(false);
  expect(facts.stillHold(await look({ kind: 'container', ref: 'f'.repeat(64) }))).toBe(false);

  ledger.set(id, { ...record });
  expect(facts.stillHold(remembered)).toBe(false);
  ledger.set(id, record);
  expect(facts.stillHold(remembered)).toBe(false);
  const anew = await look(byId);
  expect(facts.stillHold(anew)).toBe(true);
  await engine.cli.must('rename', 'held', 'let-go');
  await until(() => !facts.stillHold(anew));
});

test('whether a verdict on an image holds is seen without judging it again', async () => {
  let judged = 0;
  let known: SocketImageFacts | undefined;
  const own = new FactSource<Request>({
    client,
    ledgerRead: () => undefined,
    isolatingRuntimes: new Set(),
    resolvePath: () => ({}),
    socketImage: ({ id }) => {
      judged += 1;
      known = { imageId: id, allowed: true, socket: { path: '/s', device: '1', inode: '1' } };
      return known;
    },
    judgedSocketImage: () => known,
  });
  own.noteWatching();
  const look = () => own.resolve([{ kind: 'socket-image', ref: 'busybox' }], request());
  await look();
  const remembered = await look();
  expect(own.stillHold(remembered)).toBe(true);
  known = undefined;
  expect(own.stillHold(remembered)).toBe(false);
  expect(judged).toBe(2);
  own.noteGap();
});

test('a fact that fails at once leaves no other one to fail unheard', async () => {
  const unheard: unknown[] = [];
  const note = (error: unknown) => void unheard.push(error);
  process.on('unhandledRejection', note);
  const gone = new EngineClient('/nonexistent.sock');
  const own = new FactSource<Request>({
    client: gone,
    ledgerRead: () => undefined,
    isolatingRuntimes: new Set(),
    resolvePath: () => {
      throw new Error('no such host');
    },
  });
  const needs = [{ kind: 'volume', name: 'data' } as const, { kind: 'path', path: '/' } as const];
  await expect((async () => own.resolve(needs, request()))()).rejects.toThrow();
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.off('unhandledRejection', note);
  await gone.close();
  expect(unheard).toEqual([]);
});

test('whose an exec is, without asking for one that was made through us', async () => {
  const exec = 'e'.repeat(64);
  const look = async () => (await facts.resolve([{ kind: 'exec', id: exec }], request())).exec(exec);
  // The engine has no such exec: whoever asks it is told nothing.
  expect(await look()).toBeUndefined();
  facts.noteExec(exec, 'c'.repeat(64));
  expect(await look()).toEqual({ containerId: 'c'.repeat(64) });
});

test('images by name: a retag through us is seen at once, one past us by its event', async () => {
  const look = async () =>
    (await facts.resolve([{ kind: 'image', ref: 'moving:1' }], request())).image('moving:1');
  const other = (await engine.cli.must('commit', await engine.cli.must('create', 'busybox'))).trim();
  await engine.cli.must('tag', 'busybox', 'moving:1');
  const old = await look();
  expect(old?.layers.length).toBe(1);
  const done = facts.changing('image.tag');
  await client.run('POST', `/images/${other}/tag`, { query: { repo: 'moving', tag: '1' } });
  expect((await look())?.id).toBe(other);
  done();
  expect((await look())?.id).toBe(other);
  const seen = events.length;
  await engine.cli.must('tag', 'busybox', 'moving:1');
  await until(() => events.slice(seen).some(({ Type, Action }) => Type === 'image' && Action === 'tag'));
  expect((await look())?.id).toBe(old?.id);
});

test('volumes, networks, execs, paths and routes, side by side', async () => {
  const volume = ['volume', 'create', '-o', 'type=none', '-o', 'o=bind', '-o', 'device=/tmp', 'bound'];
  await engine.cli.must(...volume);
  const told = await facts.resolve(
    [
      { kind: 'volume', name: 'bound' },
      { kind: 'volume', name: 'nothing' },
      { kind: 'network', ref: 'host' },
      { kind: 'exec', id: 'f'.repeat(64) },
      { kind: 'path', path: '/etc' },
      { kind: 'host-routes' },
      { kind: 'swarm' },
    ],
    request(),
  );
  expect(told.volume('bound')).toMatchObject({
    driver: 'local',
    options: { o: 'bind', device: '/tmp', type: 'none' },
  });
  expect(told.volume('nothing')).toBeUndefined();
  expect(told.network('host')).toMatchObject({ name: 'host', driver: 'host' });
  expect(told.exec('f'.repeat(64))).toBeUndefined();
  expect(told.path('/etc')).toEqual({ real: 'someone:/etc' });
  expect(told.hostRoutes).toContain('127.0.0.1/32');
  expect(told.inSwarm).toBe(false);
});

test('one request is told the same in every round', async () => {
  const one = request();
  await engine.cli.must('tag', 'busybox', 'twice:1');
  const first = await facts.resolve([{ kind: 'image', ref: 'twice:1' }], one);
  const id = first.image('twice:1')?.id;
  await engine.cli.must('rmi', 'twice:1');
  const second = await facts.resolve(
    [
      { kind: 'image', ref: 'twice:1' },
      { kind: 'path', path: '/' },
    ],
    one,
  );
  expect(second.image('twice:1')?.id).toBe(id);
});

describe('odd references', () => {
  test.each(['', '.', '..', '../info', 'a//b', 'no such thing', '%2e%2e', 'a?b=c#d', 'ü'])(
    '%j is no object',
    async (ref) => {
      const told = await facts.resolve(
        [
          { kind: 'container', ref },
          { kind: 'image', ref },
          { kind: 'volume', name: ref },
          { kind: 'network', ref },
        ],
        request(),
      );
      expect([told.container(ref), told.image(ref), told.volume(ref), told.network(ref)]).toEqual(
        Array(4).fill(undefined),
      );
    },
  );
});

test('the engine goes away and comes back: an error meanwhile, nothing old afterwards', async () => {
  await engine.cli.must('volume', 'create', 'kept');
  await facts.resolve([{ kind: 'volume', name: 'kept' }], request());
  const before = states.length;
  await engine.kill();
  await until(() => states.slice(before).includes('gap'));
  await expect(facts.resolve([{ kind: 'volume', name: 'kept' }], request())).rejects.toThrow(EngineError);
  await expect(facts.engine()).rejects.toMatchObject({ code: 'COFFERDAM_ENGINE_AWAY' });
  await engine.start();
  await until(() => states.at(-1) === 'watching');
  const told = await facts.resolve([{ kind: 'volume', name: 'kept' }], request());
  expect(told.volume('kept')?.name).toBe('kept');
  expect((await facts.engine()).apiVersion).toBe('1.45');
});

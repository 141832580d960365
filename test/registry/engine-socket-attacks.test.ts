/**
 * Attempts to keep, steal or forge the Docker socket of a container, and what holds it together: a registry with TLS
 * and token authentication, the audit log, and the engine itself used past cofferdam.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { importSocketClient } from './socket-client-image.js';
import { credentials, TokenRegistry } from './token-registry.js';

const socket = '/var/run/docker.sock:/var/run/docker.sock';
const notListed = 'image is not in the allowed list';

let engine: Engine;
let cofferdam: Cofferdam;
let registry: TokenRegistry;
let trusted: string;
let closed: string;

async function settle(images: readonly string[], more: object = {}): Promise<void> {
  const generation = cofferdam.log.split('settings changed').length;
  cofferdam.writeSettings({
    enhancedContainerIsolation: {
      value: true,
      dockerSocketMount: { imageList: { images, allowDerivedImages: false }, ...more },
    },
  });
  await expect
    .poll(() => cofferdam.log.split('settings changed').length, { timeout: 10_000 })
    .toBeGreaterThan(generation);
}

const plain = ['--network', 'none'];
const hold = (name: string, ...more: string[]) =>
  cofferdam.cli.must(
    ...['run', '-d', '--name', name, ...plain, '--stop-signal', 'KILL', '-v', socket],
    ...[...more, trusted, 'sleep', '600'],
  );
const inside = (name: string, ...argv: string[]) => cofferdam.docker('exec', name, 'docker', ...argv);
const remove = (...names: string[]) => engine.cli.must('rm', '-f', ...names);

beforeAll(async () => {
  registry = await TokenRegistry.start();
  trusted = `${registry.address}/open/client:1`;
  closed = `${registry.address}/closed/client:1`;
  engine = await startIsolatingEngine({ version: '28.5', store: 'overlay2' });
  cofferdam = await startCofferdam({ engine });
  await importBusybox(engine.cli);
  const { username, password } = credentials;
  await engine.cli.must('login', '--username', username, '--password', password, registry.address);
  await importSocketClient(engine.cli, trusted);
  await engine.cli.must('tag', trusted, closed);
  for (const name of [trusted, closed]) await engine.cli.must('push', name);
});

afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
  await registry?.close();
});

beforeEach(() => settle([trusted, `${Math.random()}.example/never`]));

test('a registry with TLS and tokens: what it gives without credentials is known, and what it doesn’t is not trusted', async () => {
  await engine.cli.must('rmi', closed);
  await engine.cli.must('pull', trusted);
  await hold('open');
  expect((await inside('open', 'version')).code).toBe(0);
  await remove('open');
  await engine.cli.must('pull', closed);
  await engine.cli.must('rmi', trusted);
  await settle([closed]);
  const refused = await cofferdam.docker('run', '--rm', ...plain, '-v', socket, closed, 'true');
  expect(refused.stderr).toContain(notListed);
  const digest = await engine.cli.must('inspect', '--format={{index .RepoDigests 0}}', closed);
  await settle([digest]);
  expect((await cofferdam.docker('run', '--rm', ...plain, '-v', socket, closed, 'true')).code).toBe(0);
  await engine.cli.must('pull', trusted);
});

test('the audit log says who was granted what, and by which entry', async () => {
  await hold('audited');
  const id = await engine.cli.must('inspect', '--format={{.Id}}', 'audited');
  const image = await engine.cli.must('inspect', '--format={{.Image}}', 'audited');
  const granted = async () =>
    (await cofferdam.verb('audit', '--json')).stdout
      .split('\n')
      .filter((line) => line.includes('"socket.granted"') && line.includes(id));
  await expect.poll(granted, { timeout: 5_000 }).toHaveLength(1);
  const [line = '{}'] = await granted();
  expect(JSON.parse(line)).toMatchObject({
    caller: { uid: 0 },
    objects: [id],
    details: expect.arrayContaining([
      `image ${image}`,
      `entry ${trusted}`,
      expect.stringMatching(/^digest .*@sha256:/),
    ]),
  });
  await remove('audited');
});

test('access ends at once with the settings, for what is under way as well', async () => {
  await hold('holder');
  const events = cofferdam.cli.start(['exec', 'holder', 'docker', 'events']);
  const ended = new Promise((resolve) => events.on('exit', resolve));
  await expect.poll(async () => (await inside('holder', 'ps')).code, { timeout: 5_000 }).toBe(0);
  await settle([]);
  await ended;
  expect((await inside('holder', 'ps')).stderr).toContain('any more');
  const id = await engine.cli.must('inspect', '--format={{.Id}}', 'holder');
  const revoked = async () => (await cofferdam.verb('audit', '--json')).stdout;
  await expect.poll(revoked, { timeout: 5_000 }).toMatch(new RegExp(`"socket.revoked".*${id}`));
  await settle([trusted]);
  expect((await inside('holder', 'ps')).code).toBe(0);
  await remove('holder');
});

test('a start past cofferdam, or by a restart policy, gives no more than the settings do', async () => {
  await hold('restarting', '--restart', 'always');
  await hold('stopped');
  await engine.cli.must('kill', 'stopped');
  await settle([]);
  await engine.cli.must('start', 'stopped');
  await engine.halt();
  await engine.start();
  await expect
    .poll(() => engine.cli.must('inspect', '--format={{.State.Running}}', 'restarting'), { timeout: 30_000 })
    .toBe('true');
  expect((await inside('restarting', 'ps')).stderr).toContain('any more');
  await engine.cli.must('start', 'stopped');
  expect((await inside('stopped', 'ps')).stderr).toContain('any more');
  await settle([trusted]);
  expect((await inside('restarting', 'ps')).code).toBe(0);
  await remove('restarting', 'stopped');
});

test('a container made past cofferdam gets no socket: neither ours nor the engine’s', async () => {
  const own = join(cofferdam.stateDir, 'sockets/docker.sock');
  for (const source of [own, engine.socket]) {
    const made = await engine.docker('run', '--rm', ...plain, '-v', `${source}:/s`, trusted, 'true');
    expect(made.code).not.toBe(0);
    expect(made.stderr).toContain('cofferdam');
  }
});

test('the image is the one that was judged, whatever its name means by the time of the start', async () => {
  await cofferdam.cli.must('create', '--name', 'pinned', ...plain, '-v', socket, trusted, 'sleep', '600');
  await engine.cli.must('tag', trusted, 'kept:1');
  await engine.cli.must('rmi', trusted);
  await engine.cli.must('tag', 'busybox', trusted);
  const substitute = await cofferdam.docker('run', '--rm', ...plain, '-v', socket, trusted, 'true');
  expect(substitute.stderr).toContain(notListed);
  // Nothing says any more that the container's own image is the listed one.
  expect((await cofferdam.docker('start', 'pinned')).stderr).toContain(notListed);
  await engine.cli.must('start', 'pinned');
  expect((await cofferdam.docker('exec', 'pinned', 'test', '-x', '/bin/docker')).code).toBe(0);
  expect((await inside('pinned', 'ps')).stderr).toContain('any more');
  await engine.cli.must('rmi', trusted);
  await engine.cli.must('pull', trusted);
  expect((await inside('pinned', 'ps')).code).toBe(0);
  await remove('pinned');
});

test('what was changed inside an allowed container is another image', async () => {
  await hold('changed');
  const committed = await cofferdam.docker('commit', 'changed', 'changed:1');
  const entrypoint = ['--change', 'ENTRYPOINT ["/bin/sh"]'];
  const made = committed.code === 0 ? 'changed:1' : undefined;
  const id = await engine.cli.must('create', '--runtime', 'runc', trusted, 'true');
  await engine.cli.must('commit', ...entrypoint, id, 'derived:1');
  for (const image of ['derived:1', ...(made === undefined ? [] : [made])]) {
    const refused = await cofferdam.docker('run', '--rm', ...plain, '-v', socket, image, 'true');
    expect(refused.stderr).toContain(notListed);
  }
  await remove('changed', id);
});

test('a container without a grant reaches nobody’s socket: by namespaces, volumes, or files of the holder', async () => {
  await hold('lender');
  for (const flag of ['--pid', '--network', '--ipc', '--volumes-from']) {
    const value = flag === '--volumes-from' ? 'lender' : 'container:lender';
    const joined = await cofferdam.docker(
      'run',
      '--rm',
      flag,
      value,
      'busybox',
      'ls',
      '/var/run/docker.sock',
    );
    expect(joined.code).not.toBe(0);
  }
  // Sockets have no place in a tar archive: the copy has nothing in it.
  const copy = join(engine.folder, 'copied');
  await cofferdam.docker('cp', 'lender:/var/run/docker.sock', copy);
  expect(existsSync(copy)).toBe(false);
  await remove('lender');
});

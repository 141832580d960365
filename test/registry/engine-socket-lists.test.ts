/**
 * What a granted Docker socket may be used for, asked from inside: command lists for every client and every form of a
 * request, lists that go with what a container makes, other containers' sockets, and changes while it is in use.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type CommandResult, runCommand } from '../../src/engine/embedded/command.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { DockerCli } from '../support/docker-cli.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { AskedRegistry, CountedRegistry } from './registries.js';
import { importSocketClient } from './socket-client-image.js';

const socket = '/var/run/docker.sock:/var/run/docker.sock';
const plain = ['--network', 'none', '--stop-signal', 'KILL'];
const build = 'FROM busybox\nRUN true\n';

let engine: Engine;
let cofferdam: Cofferdam;
let registry: CountedRegistry;
/** Under the general list. */
let wide: string;
/** With a list of its own. */
let narrow: string;
let config: string;
/** Asked for anything when an image of this name is pushed. */
let asked: AskedRegistry;
let stolen: string;

async function settle(change: {
  images?: readonly string[];
  deny?: readonly string[];
  own?: readonly string[];
}) {
  const generation = cofferdam.log.split('settings changed').length;
  const { images = [wide, narrow, `${Math.random()}.example/never`], deny = [], own } = change;
  const perImage =
    own === undefined ? [] : [{ image: narrow, commandList: { type: 'allow', commands: own } }];
  cofferdam.writeSettings({
    enhancedContainerIsolation: {
      value: true,
      dockerSocketMount: {
        imageList: { images, allowDerivedImages: false },
        commandList: { type: 'deny', commands: deny },
        perImage,
      },
    },
  });
  await expect
    .poll(() => cofferdam.log.split('settings changed').length, { timeout: 10_000 })
    .toBeGreaterThan(generation);
}

const hold = (name: string, image: string) =>
  cofferdam.cli.must('run', '-d', '--name', name, ...plain, '-v', socket, image, 'sleep', '600');
const inside = (name: string, ...argv: string[]) => cofferdam.docker('exec', name, 'docker', ...argv);
const remove = (...names: string[]) => engine.cli.must('rm', '-f', ...names);

/** Runs a program of the host as a container's root, with the container's socket in reach and nothing of the host. */
async function as(name: string, program: string, ...argv: string[]): Promise<CommandResult> {
  const pid = await engine.cli.must('inspect', '--format', '{{.State.Pid}}', name);
  const place = `/proc/${pid}/root/var/run/docker.sock`;
  const words = argv.map((word) => word.replace('SOCKET', place));
  return runCommand('nsenter', ['--user', '--target', pid, program, ...words], {
    env: { ...process.env, DOCKER_HOST: `unix://${place}`, DOCKER_CONFIG: config, HOME: config },
  });
}

const relay = `const { connect, createServer } = require('node:net');
createServer({ allowHalfOpen: true }, (client) => {
  const server = connect({ path: process.argv[1], allowHalfOpen: true });
  client.pipe(server).pipe(client);
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
}).listen(process.argv[2], () => console.log('ready'));`;

/** The host's command line with BuildKit, whose every connection is made by a process of the container's root. */
async function buildIn(name: string, ...argv: string[]): Promise<CommandResult> {
  const pid = await engine.cli.must('inspect', '--format', '{{.State.Pid}}', name);
  const path = join(config, `${randomUUID()}.sock`);
  const from = `/proc/${pid}/root/var/run/docker.sock`;
  const child = spawn('nsenter', ['--user', '--target', pid, process.execPath, '-e', relay, from, path]);
  const cli = await DockerCli.open(path);
  try {
    await once(child.stdout, 'data');
    const file = join(config, 'Dockerfile');
    writeFileSync(file, build);
    return await cli.run(['buildx', 'build', '--network', 'none', '--file', file, ...argv, config]);
  } finally {
    child.kill();
    cli.close();
  }
}

const curl = (name: string, ...argv: string[]) =>
  as(name, 'curl', '--silent', '--show-error', '--max-time', '20', '--unix-socket', 'SOCKET', ...argv);

beforeAll(async () => {
  registry = await CountedRegistry.start();
  wide = `${registry.address}/ci/wide:1`;
  narrow = `${registry.address}/ci/narrow:1`;
  engine = await startIsolatingEngine({ version: '28.5', store: 'overlay2' });
  cofferdam = await startCofferdam({ engine });
  await importBusybox(engine.cli);
  await importSocketClient(engine.cli, wide);
  const id = await engine.cli.must('create', '--runtime', 'runc', wide, 'true');
  await engine.cli.must('commit', '--change', 'LABEL narrow=yes', id, narrow);
  await engine.cli.must('rm', id);
  for (const name of [wide, narrow]) await engine.cli.must('push', name);
  asked = await AskedRegistry.start();
  stolen = `${asked.address}/stolen`;
  await engine.cli.must('tag', 'busybox', `${stolen}:1`);
  config = join(engine.folder, 'client');
  mkdirSync(config);
  chmodSync(engine.folder, 0o711);
  chmodSync(config, 0o777);
});

afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
  await registry?.close();
  await asked?.close();
});

beforeEach(() => settle({}));

describe('a denied push', () => {
  beforeEach(async () => {
    if ((await engine.docker('inspect', 'pusher')).code !== 0) await hold('pusher', wide);
    await settle({ deny: ['push'] });
  });
  afterAll(() => remove('pusher'));

  test('has Docker Desktop’s text, with the request as it was sent', async () => {
    const { stdout } = await curl(
      'pusher',
      '-XPOST',
      'http://localhost/v1.43/images/myimage/push?tag=latest',
    );
    expect(JSON.parse(stdout)).toMatchObject({
      message:
        'enhanced container isolation: docker command "/v1.43/images/myimage/push?tag=latest" is blocked; if you wish to allow it, configure the docker socket command list in the cofferdam settings.',
    });
  });

  test.each([
    ['without a version', ['http://localhost/images/NAME/push?tag=1'], '403'],
    ['an encoded name', ['http://localhost/v1.43/images/NAM%45/push?tag=1'], '403'],
    ['an encoded verb', ['http://localhost/v1.43/images/NAME/p%75sh?tag=1'], '400'],
    ['an encoded slash', ['http://localhost/v1.43/images/NAME%2Fpush?tag=1'], '40[034]'],
    ['two slashes', ['--path-as-is', 'http://localhost//v1.43/images/NAME/push?tag=1'], '40[04]'],
    ['two slashes within', ['--path-as-is', 'http://localhost/v1.43/images//NAME/push?tag=1'], '40[04]'],
    ['dots', ['--path-as-is', 'http://localhost/v1.43/images/x/../NAME/push?tag=1'], '40[04]'],
    ['a slash at the end', ['http://localhost/v1.43/images/NAME/push/?tag=1'], '40[04]'],
    ['another case', ['http://localhost/v1.43/images/NAME/PUSH?tag=1'], '40[04]'],
    [
      'in chunks',
      ['-H', 'Transfer-Encoding: chunked', '-d', '{}', 'http://localhost/images/NAME/push?tag=1'],
      '40[03]',
    ],
    [
      'an upgrade',
      ['-H', 'Connection: Upgrade', '-H', 'Upgrade: tcp', 'http://localhost/images/NAME/push?tag=1'],
      '40[03]',
    ],
    ['HTTP/2', ['--http2-prior-knowledge', 'http://localhost/images/NAME/push?tag=1'], '(000|505)'],
  ])('%s', async (_title, argv, status) => {
    const form = argv.map((word) =>
      word.replace('NAM%45', stolen.replace('stolen', '%73tolen')).replace('NAME', stolen),
    );
    const { stdout } = await curl('pusher', '-o', '/dev/null', '-w', '%{http_code}', '-XPOST', ...form);
    expect(stdout).toMatch(new RegExp(`^${status}$`));
    expect(asked.take()).toEqual([]);
  });

  test('is a push where it isn’t denied', async () => {
    await settle({});
    await curl(
      'pusher',
      '-H',
      'X-Registry-Auth: e30=',
      '-XPOST',
      `http://localhost/images/${stolen}/push?tag=1`,
    );
    expect(asked.take()).not.toEqual([]);
  });

  test('is denied to a build that pushes, and builds still work', async () => {
    const name = `${registry.address}/ci/built:1`;
    const pushed = await buildIn('pusher', '--tag', name, '--push');
    expect(pushed.code).not.toBe(0);
    expect(pushed.stderr).toContain('docker command "push" is blocked');
    const built = await buildIn('pusher', '--tag', name);
    expect(`${built.code} ${built.stderr}`).toMatch(/^0 /);
  });

  test('by another image’s list alone denies it to nobody else', async () => {
    await settle({ own: ['ps'] });
    const pushed = await buildIn('pusher', '--tag', `${registry.address}/ci/pushed:1`, '--push');
    expect(`${pushed.code} ${pushed.stderr}`).toMatch(/^0 /);
  });
});

test('a container under a narrow list gains nothing by having a container of another image made', async () => {
  await settle({ own: ['ps', 'run', 'exec', 'rm', 'version'] });
  await hold('outer', narrow);
  const name = `${registry.address}/ci/escaped:1`;
  await engine.cli.must('tag', 'busybox', name);
  expect((await inside('outer', 'push', name)).stderr).toContain('is blocked');
  const run = ['run', '--rm', ...plain, '-v', socket, wide, 'docker'];
  expect((await inside('outer', ...run, 'ps')).code).toBe(0);
  expect((await inside('outer', ...run, 'push', name)).stderr).toContain('is blocked');
  // One more on top is bound as well.
  expect((await inside('outer', ...run, ...run, 'push', name)).stderr).toContain('is blocked');
  await hold('direct', wide);
  expect((await inside('direct', 'push', name)).code).toBe(0);
  // Nor by entering one that somebody else had made.
  const entered = await inside('outer', 'exec', 'direct', 'docker', 'push', name);
  expect(entered.stderr).toContain('it holds a granted Docker socket');
  // What it had made itself it may enter, under its own list.
  await inside('outer', 'run', '-d', '--name', 'inner', ...plain, '-v', socket, wide, 'sleep', '600');
  expect((await inside('outer', 'exec', 'inner', 'docker', 'ps')).code).toBe(0);
  expect((await inside('outer', 'exec', 'inner', 'docker', 'push', name)).stderr).toContain('is blocked');
  await remove('outer', 'direct', 'inner');
});

test('no container enters what root itself gave files of the host', async () => {
  await hold('curious', wide);
  const shared = join(engine.folder, 'shared');
  mkdirSync(shared, { recursive: true });
  writeFileSync(join(shared, 'secret'), 'of root');
  const files = ['-v', `${shared}:/w`, 'busybox', 'sleep', '600'];
  await cofferdam.cli.must('run', '-d', '--name', 'backup', ...plain, ...files);
  expect((await inside('curious', 'exec', 'backup', 'cat', '/w/secret')).stderr).toContain('host’s root');
  const joined = [
    'run',
    '--rm',
    ...plain,
    '--pid',
    'container:backup',
    'busybox',
    'cat',
    '/proc/1/root/w/secret',
  ];
  expect((await inside('curious', ...joined)).stderr).toContain('host’s root');
  expect((await inside('curious', 'stop', '--time', '0', 'backup')).code).toBe(0);
  await remove('curious', 'backup');
});

test('a list that changes ends what it blocks from then on, and nothing else', async () => {
  await hold('watcher', wide);
  const events = cofferdam.cli.start(['exec', 'watcher', 'docker', 'events']);
  const ended = new Promise((resolve) => events.on('exit', resolve));
  const logs = cofferdam.cli.start(['exec', 'watcher', 'docker', 'logs', '--follow', 'watcher']);
  let logsEnded = false;
  logs.on('exit', () => {
    logsEnded = true;
  });
  await expect
    .poll(async () => (await curl('watcher', 'http://localhost/containers/watcher/top')).stdout, {
      timeout: 10_000,
    })
    .toMatch(/events.*logs|logs.*events/);
  await settle({ deny: ['events'] });
  await ended;
  expect((await inside('watcher', 'events')).stderr).toContain('is blocked');
  expect(logsEnded).toBe(false);
  logs.kill();
  await remove('watcher');
});

test('a holder isn’t started once its image is off the list, and is again when it is back', async () => {
  await hold('kept', wide);
  await engine.cli.must('stop', '--time', '0', 'kept');
  await settle({ images: [] });
  const refused = await cofferdam.docker('start', 'kept');
  expect(refused.stderr).toContain(
    `docker socket mount denied for container with image "${registry.address}/ci/wide"; image is not in the allowed list`,
  );
  expect(await engine.cli.must('inspect', '--format', '{{.State.Running}}', 'kept')).toBe('false');
  await settle({});
  await cofferdam.cli.must('start', 'kept');
  expect((await inside('kept', 'ps')).code).toBe(0);
  await remove('kept');
});

test('--use-api-socket: refused for other images, and for a listed one the credentials come along', async () => {
  const client = join(engine.folder, 'logged-in');
  mkdirSync(client, { recursive: true });
  const auths = { 'registry.example': { auth: Buffer.from('ci:secret').toString('base64') } };
  writeFileSync(join(client, 'config.json'), JSON.stringify({ auths }));
  const run = (image: string, ...argv: string[]) =>
    cofferdam.dockerWith(
      { env: { DOCKER_CONFIG: client } },
      ...['run', '--rm', ...plain, '--use-api-socket', image, ...argv],
    );
  const refused = await run('busybox', 'true');
  expect(refused.stderr).toContain(
    'docker socket mount denied for container with image "docker.io/library/busybox"',
  );
  const used = await run(wide, 'sh', '-c', 'docker ps --quiet && cat $DOCKER_CONFIG/config.json');
  expect(`${used.code} ${used.stderr}`).toBe('0 ');
  expect(used.stdout).toContain('registry.example');
});

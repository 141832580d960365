import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../src/engine/embedded/command.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, type EngineOptions, importBusybox } from '../support/engines.js';
import { parseUidMap } from '../support/uid-map.js';

const offline = ['--network', 'none'] as const;
const showMap = ['busybox', 'cat', '/proc/self/uid_map'] as const;

const engines: readonly EngineOptions[] = [
  { version: '20.10' },
  { version: '26.1' },
  { version: '28.5', store: 'overlay2' },
  { version: '28.5', store: 'containerd' },
];

describe.each(engines)('through the proxy on engine $version, $store', (options) => {
  let engine: Engine;
  let cofferdam: Cofferdam;
  const docker = (...argv: string[]): Promise<string> => cofferdam.cli.must(...argv);
  beforeAll(async () => {
    engine = await startIsolatingEngine(options);
    cofferdam = await startCofferdam({ engine });
    await importBusybox(cofferdam.cli);
  });
  afterAll(async () => {
    await cofferdam?.close();
    await engine?.stop();
  });

  test('the first container gets the first range', async () => {
    expect(parseUidMap(await docker('run', '--rm', ...offline, ...showMap))).toEqual({
      inside: 0,
      outside: 100_000,
      size: 65_536,
    });
  });

  test('two live containers have ranges that do not overlap', async () => {
    for (const name of ['one', 'two'])
      await docker('run', '-d', '--name', name, ...offline, 'busybox', 'sleep', '1000');
    const maps = await Promise.all(
      ['one', 'two'].map(async (name) => parseUidMap(await docker('exec', name, 'cat', '/proc/1/uid_map'))),
    );
    const [low, high] = maps.map(({ outside }) => outside).sort((a, b) => a - b);
    expect((high ?? 0) - (low ?? 0)).toBeGreaterThanOrEqual(65_536);
    await docker('rm', '-f', 'one', 'two');
  });

  test('the runtime is sysbox-runc, whatever was asked for', async () => {
    for (const wish of [[], ['--runtime=runc'], ['--runtime=io.containerd.runc.v2']]) {
      await docker('create', '--name', 'wish', ...wish, ...offline, ...showMap);
      expect(await docker('inspect', '--format={{.HostConfig.Runtime}}', 'wish')).toBe('sysbox-runc');
      expect(parseUidMap(await docker('start', '--attach', 'wish')).size).toBe(65_536);
      await docker('rm', 'wish');
    }
  });

  test('a bare create request is isolated like any other', async () => {
    const request = (method: string, path: string, body: string) =>
      runCommand('curl', [
        ...['--silent', '--show-error', '--unix-socket', cofferdam.socket, '--request', method],
        ...['--header', 'Content-Type: application/json', '--data', body],
        `http://docker/${path}`,
      ]);
    const created = await request(
      'POST',
      'v1.41/containers/create',
      '{"Image":"busybox","Cmd":["cat","/proc/self/uid_map"],"NetworkDisabled":true}',
    );
    const { Id } = JSON.parse(created.stdout) as { Id: string };
    expect(await docker('inspect', '--format={{.HostConfig.Runtime}}', Id)).toBe('sysbox-runc');
    expect(parseUidMap(await docker('start', '--attach', Id)).size).toBe(65_536);
    await docker('rm', Id);
  });

  test('files of the image have their owners inside', async () => {
    const owners = await docker(
      'run',
      '--rm',
      ...offline,
      'busybox',
      'stat',
      '-c',
      '%n %u',
      '/data/by-root',
      '/data/by-999',
      '/bin/busybox',
    );
    expect(owners.split('\n')).toEqual(['/data/by-root 0', '/data/by-999 999', '/bin/busybox 0']);
    expect(
      await docker(
        'run',
        '--rm',
        '--user',
        '999',
        ...offline,
        'busybox',
        'sh',
        '-c',
        'echo x > /data/by-999 && id -u',
      ),
    ).toBe('999');
  });

  test('run -it has a terminal', async () => {
    const session = await cofferdam.cli.onTerminal(
      ['run', '--rm', '-it', ...offline, 'busybox', 'sh'],
      'tty; stty size; exit 7\n',
      '# ',
    );
    expect(session.stdout).toContain('/dev/pts/0');
    expect(session.code).toBe(7);
  });

  test('run -i passes its input on, and its end', async () => {
    const echoed = await cofferdam.dockerWith(
      { input: 'line\n'.repeat(50_000) },
      'run',
      '--rm',
      '-i',
      ...offline,
      'busybox',
      'wc',
      '-l',
    );
    expect(echoed).toMatchObject({ stdout: '50000\n', code: 0 });
  });

  test('exec, logs -f, top, stop, start again with the same range, rm', async () => {
    const script =
      'cat /proc/self/uid_map; i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo tick $i; sleep 0.1; done; trap exit TERM; sleep 1000 & wait';
    await docker('run', '-d', '--name', 'life', ...offline, 'busybox', 'sh', '-c', script);
    const follow = cofferdam.cli.start(['logs', '-f', 'life']);
    const followed = new Promise((resolve) => follow.on('close', resolve));
    let logged = '';
    follow.stdout.on('data', (chunk: Buffer) => {
      logged += chunk.toString();
    });
    await expect.poll(() => logged, { timeout: 20_000 }).toContain('tick 3');
    expect((await cofferdam.docker('exec', 'life', 'sh', '-c', 'exit 9')).code).toBe(9);
    expect(await docker('exec', '--user', '999', 'life', 'id', '-u')).toBe('999');
    expect(await docker('top', 'life')).toContain('sleep 1000');
    const before = parseUidMap(await docker('exec', 'life', 'cat', '/proc/1/uid_map'));
    await docker('stop', 'life');
    await followed;
    await docker('start', 'life');
    expect(parseUidMap(await docker('exec', 'life', 'cat', '/proc/1/uid_map'))).toEqual(before);
    await docker('rm', '-f', 'life');
    expect((await cofferdam.docker('inspect', 'life')).code).toBe(1);
  });

  test('cp in and out, running and stopped', async () => {
    const local = join(engine.folder, 'local');
    await docker('run', '-d', '--name', 'copy', ...offline, 'busybox', 'sleep', '1000');
    writeFileSync(local, 'from outside');
    await docker('cp', local, 'copy:/data/in');
    expect(await docker('exec', 'copy', 'cat', '/data/in')).toBe('from outside');
    await docker('exec', 'copy', 'sh', '-c', 'echo from inside > /data/out; chown 999 /data/out');
    await docker('cp', 'copy:/data/out', local);
    expect(readFileSync(local, 'utf8')).toBe('from inside\n');
    await docker('kill', 'copy');
    writeFileSync(local, 'while stopped');
    await docker('cp', local, 'copy:/data/in');
    await docker('start', 'copy');
    expect(await docker('exec', 'copy', 'cat', '/data/in')).toBe('while stopped');
    rmSync(local);
    await docker('rm', '-f', 'copy');
  });

  test('a named volume shows the same owners to containers of different ranges, and on disk', async () => {
    await docker(
      'run',
      '--rm',
      '-v',
      'shared:/v',
      ...offline,
      'busybox',
      'sh',
      '-c',
      'echo a > /v/root; echo b > /v/app; chown 999 /v/app',
    );
    const seen = await docker(
      'run',
      '--rm',
      '-v',
      'shared:/v',
      ...offline,
      'busybox',
      'stat',
      '-c',
      '%u',
      '/v/root',
      '/v/app',
    );
    expect(seen.split('\n')).toEqual(['0', '999']);
    const onDisk = await runCommand('stat', [
      '-c',
      '%u',
      join(engine.files.data, 'volumes/shared/_data/root'),
      join(engine.files.data, 'volumes/shared/_data/app'),
    ]);
    expect(onDisk.stdout).toBe('0\n999\n');
    await docker('volume', 'rm', 'shared');
  });

  const dockerfile =
    'FROM busybox\nRUN cat /proc/self/uid_map > /map && touch /made && chown 999 /made\nCMD ["sh", "-c", "cat /map; stat -c %u /made"]\n';
  test.each([
    ['the classic builder', '0'],
    ['BuildKit', '1'],
  ])('%s builds, its RUN steps in a user namespace', async (_, buildkit) => {
    const tag = `built-${buildkit}`;
    const build = await cofferdam.dockerWith(
      { input: dockerfile, env: { DOCKER_BUILDKIT: buildkit } },
      'build',
      '--network',
      'none',
      '--tag',
      tag,
      '-',
    );
    expect(build.code, build.stderr).toBe(0);
    const [map = '', owner] = (await docker('run', '--rm', ...offline, tag)).split('\n');
    expect(parseUidMap(map)).toMatchObject({ inside: 0, size: 65_536 });
    expect(parseUidMap(map).outside).toBeGreaterThanOrEqual(100_000);
    expect(owner).toBe('999');
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../src/engine/embedded/command.js';
import {
  embeddedEnginePid,
  embeddedEnginePlaces,
  unpackEmbeddedEngine,
} from '../../src/engine/embedded/engine.js';
import { DockerCli } from '../support/docker-cli.js';
import { importBusybox } from '../support/engines.js';
import { killProcessesOf, unmountBelow } from '../support/left-overs.js';
import { type NetworkNamespace, openNetworkNamespace } from '../support/network-namespace.js';
import { parseUidMap } from '../support/uid-map.js';

const program = fileURLToPath(new URL('../../bin/cofferdam', import.meta.url));

/**
 * The engine gets a network namespace of its own, because it makes bridges and rules. Its packages are fetched
 * before, since nothing is reached from in there. An engine of the machine that runs the test is hidden.
 */
describe('a host without an engine', () => {
  let folder: string;
  let state: string;
  let run: string;
  let cli: DockerCli;
  let daemon: ChildProcess | undefined;
  let output = '';
  let namespace: NetworkNamespace;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cofferdam-embedded-'));
    chmodSync(folder, 0o711);
    state = join(folder, 'state');
    run = join(folder, 'run');
    await unpackEmbeddedEngine(state, (step) => process.stderr.write(`embedded engine: ${step}\n`));
    cli = await DockerCli.open(join(run, 'docker.sock'));
    namespace = await openNetworkNamespace({ hide: '/run/docker.sock' });
  });

  afterAll(async () => {
    daemon?.kill('SIGTERM');
    await killProcessesOf(folder);
    namespace?.close();
    await unmountBelow(folder);
    cli?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function startDaemon(): Promise<void> {
    output = '';
    const { DOCKER_HOST: _, ...env } = process.env;
    const argv = [program, 'run', '--state', state, '--run-dir', run];
    const child = spawn('nsenter', [...namespace.enter, '--', process.execPath, ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
    });
    daemon = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await expect.poll(() => output, { timeout: 60_000 }).toContain('export DOCKER_HOST=');
  }

  async function stopDaemon(): Promise<void> {
    const child = daemon;
    if (!child) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await exit;
  }

  test('gets one, and isolates the first container', async () => {
    await startDaemon();
    expect(output).toContain(`export DOCKER_HOST=unix://${run}/docker.sock`);
    expect(output).toContain('26.1.5');
    await importBusybox(cli);
    const map = await cli.must('run', '--rm', 'busybox', 'cat', '/proc/self/uid_map');
    expect(parseUidMap(map)).toEqual({ inside: 0, outside: 100_000, size: 65_536 });
  });

  test('has bridge networks and published ports', async () => {
    await cli.must(
      'run',
      '-d',
      '--name',
      'web',
      '--publish',
      '8080:80',
      'busybox',
      'httpd',
      '-f',
      '-h',
      '/data',
    );
    const address = await cli.must('inspect', '--format', '{{.NetworkSettings.IPAddress}}', 'web');
    expect(await cli.must('run', '--rm', 'busybox', 'wget', '-qO-', `http://${address}/by-root`)).toBe(
      'root',
    );
    const curl = ['curl', '--silent', 'http://127.0.0.1:8080/by-root'];
    const fetched = await runCommand('nsenter', [...namespace.enter, '--', ...curl]);
    expect(fetched.stdout).toBe('root\n');
  });

  test('builds in a user namespace', async () => {
    const input = 'FROM busybox\nRUN cat /proc/self/uid_map > /map\n';
    const build = await cli.run(['build', '--quiet', '--tag', 'built', '-'], { input });
    expect(build.code, build.stderr).toBe(0);
    expect(parseUidMap(await cli.must('run', '--rm', 'built', 'cat', '/map'))).toMatchObject({
      inside: 0,
      size: 65_536,
    });
  });

  test('keeps its real socket where only root may enter', () => {
    const { socket } = embeddedEnginePlaces(state, run);
    expect(statSync(dirname(socket)).mode & 0o777).toBe(0o700);
  });

  test('outlives cofferdam, and is adopted by the next one', async () => {
    const before = embeddedEnginePid(state, run);
    expect(before).toBeDefined();
    await stopDaemon();
    expect(embeddedEnginePid(state, run)).toBe(before);
    const direct = await DockerCli.open(embeddedEnginePlaces(state, run).socket);
    expect(await direct.must('inspect', '--format', '{{.State.Running}}', 'web')).toBe('true');
    direct.close();
    await startDaemon();
    expect(embeddedEnginePid(state, run)).toBe(before);
    expect(await cli.must('exec', 'web', 'cat', '/data/by-root')).toBe('root');
  });

  test('is ended by unsetup', async () => {
    await stopDaemon();
    const ended = await runCommand(process.execPath, [
      program,
      'unsetup',
      '--state',
      state,
      '--run-dir',
      run,
      '--daemon-json',
      join(folder, 'none.json'),
    ]);
    expect(ended.stdout).toContain('stopped the embedded engine');
    expect(embeddedEnginePid(state, run)).toBeUndefined();
    expect(existsSync(embeddedEnginePlaces(state, run).pid)).toBe(false);
  });
});

/**
 * The streams of a real engine, direct and through the proxy: the same bytes, the same ends, the same exit codes.
 * Each breakage that other proxies are known for is a test by its name.
 */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CommandResult, runCommand } from '../../src/engine/embedded/command.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import type { DockerCli } from '../support/docker-cli.js';
import { type Engine, engineVersions, importBusybox } from '../support/engines.js';
import { RawClient, statusOf } from './raw-client.js';

const offline = ['--network', 'none'];

describe.each(engineVersions)('engine %s', (version) => {
  let engine: Engine;
  let cofferdam: Cofferdam;

  beforeAll(async () => {
    engine = await startIsolatingEngine({ version });
    cofferdam = await startCofferdam({ engine });
    await importBusybox(cofferdam.cli);
    await cofferdam.cli.must('run', '-d', '--name', 'web', ...offline, 'busybox', 'sleep', '100000');
  });

  afterAll(async () => {
    await cofferdam?.close();
    await engine?.stop();
  });

  /** Does the same direct and through the proxy, and expects the same of both. */
  async function same(act: (cli: DockerCli) => Promise<CommandResult>): Promise<CommandResult> {
    const direct = await act(engine.cli);
    const through = await act(cofferdam.cli);
    expect(through).toEqual(direct);
    return through;
  }

  const run = (...argv: string[]) => same((cli) => cli.run(['run', '--rm', ...offline, ...argv]));

  it('output lost without `-i`: both streams come whole, with the exit code', async () => {
    const result = await run('busybox', 'sh', '-c', 'seq 20000; echo err >&2; exit 7');
    expect(result.stdout.split('\n')).toHaveLength(20_001);
    expect(result).toMatchObject({ stderr: 'err\n', code: 7 });
  });

  it('stdin half-close hangs `docker run -i`: it ends by itself, and loses nothing', async () => {
    const result = await same((cli) =>
      cli.run(['run', '--rm', '-i', ...offline, 'busybox', 'cat'], { input: 'x\n' }),
    );
    expect(result).toMatchObject({ stdout: 'x\n', code: 0 });
    const exec = await same((cli) =>
      cli.run(['exec', '-i', 'web', 'wc', '-c'], { input: 'y'.repeat(100_000) }),
    );
    expect(exec.stdout.trim()).toBe('100000');
  });

  it('200 MB of stdin arrive as they were sent', async () => {
    const file = join(engine.folder, 'stdin');
    writeFileSync(file, Buffer.alloc(200 << 20, 'cofferdam, byte for byte.'));
    const child = cofferdam.cli.start(['run', '--rm', '-i', ...offline, 'busybox', 'sha256sum']);
    const output: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    createReadStream(file).pipe(child.stdin);
    await new Promise((resolve) => child.once('close', resolve));
    const sum = createHash('sha256').update(readFileSync(file)).digest('hex');
    expect(Buffer.concat(output).toString()).toBe(`${sum}  -\n`);
    rmSync(file);
  });

  it('exec: output, exit code, detached, and to a container that isn’t there', async () => {
    expect(await same((cli) => cli.run(['exec', 'web', 'sh', '-c', 'echo a; exit 3']))).toMatchObject({
      code: 3,
    });
    expect(await same((cli) => cli.run(['exec', '-d', 'web', 'true']))).toMatchObject({ code: 0 });
    expect(await same((cli) => cli.run(['exec', 'nobody', 'true']))).toMatchObject({ code: 1 });
  });

  it('a terminal: size, echo, and line ends', async () => {
    const act = (cli: DockerCli) =>
      cli.onTerminal(
        [
          'run',
          '--rm',
          '-it',
          ...offline,
          'busybox',
          'sh',
          '-c',
          'echo ready; read line; echo got $line; exit 5',
        ],
        'word\n',
        'ready',
      );
    const [direct, through] = [await act(engine.cli), await act(cofferdam.cli)];
    expect(through).toEqual(direct);
    expect(through.stdout).toContain('got word');
    expect(through.code).toBe(5);
  });

  it('a terminal that is resized is resized in the container', async () => {
    const until = (size: string) => `until [ "$(stty size 2>/dev/null)" = "${size}" ]; do sleep 0.1; done`;
    const inside = `${until('33 101')}; echo begun; ${until('44 99')}; echo resized`;
    // The kernel tells the command line of the new size (SIGWINCH), which tells the engine.
    const line = `stty rows 33 cols 101; (sleep 2; stty -F /dev/tty rows 44 cols 99) & docker run --rm -it ${offline.join(' ')} busybox sh -c '${inside}'`;
    for (const { environment: env } of [engine.cli, cofferdam.cli]) {
      const outcome = await runCommand('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
        env,
      });
      expect(outcome.stdout).toMatch(/begun\r\nresized\r\n$/);
      expect(outcome.code).toBe(0);
    }
  });

  it('detach keys leave the container running', async () => {
    for (const cli of [engine.cli, cofferdam.cli]) {
      const name = `detached-${cli === engine.cli ? 'direct' : 'through'}`;
      const result = await cli.onTerminal(
        ['run', '-it', '--name', name, ...offline, 'busybox', 'sh', '-c', 'echo ready; sleep 1000'],
        '\x10\x11',
        'ready',
      );
      expect(result.stdout).toContain('ready');
      expect(await cli.must('inspect', '--format={{.State.Running}}', name)).toBe('true');
      await cli.must('rm', '-f', name);
    }
  });

  it('a signal to the command line reaches the process', async () => {
    for (const cli of [engine.cli, cofferdam.cli]) {
      const child = cli.start([
        'run',
        '--rm',
        ...offline,
        'busybox',
        'sh',
        '-c',
        'trap "echo caught; exit 9" TERM; echo ready; while :; do sleep 0.1; done',
      ]);
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (chunk.toString().includes('ready')) child.kill('SIGTERM');
      });
      const code = await new Promise((resolve) => child.once('close', resolve));
      expect({ output, code }).toEqual({ output: 'ready\ncaught\n', code: 9 });
    }
  });

  it('attach, logs -f and wait end when the container does', async () => {
    for (const cli of [engine.cli, cofferdam.cli]) {
      await cli.must(
        'create',
        '-i',
        '--name',
        'short',
        ...offline,
        'busybox',
        'sh',
        '-c',
        'read line; echo $line; sleep 0.3; echo end',
      );
      const attached = cli.run(['start', '--attach', '-i', 'short'], { input: 'begin\n' });
      await expect
        .poll(() => cli.must('inspect', '--format={{.State.StartedAt}}', 'short'))
        .not.toMatch(/^0001/);
      const [logs, waited] = await Promise.all([
        cli.run(['logs', '-f', 'short']),
        cli.run(['wait', 'short']),
      ]);
      expect(await attached).toMatchObject({ stdout: 'begin\nend\n', code: 0 });
      expect(logs.stdout).toBe('begin\nend\n');
      expect(waited.stdout).toBe('0\n');
      await cli.must('rm', 'short');
    }
  });

  it('events since and until, and stats once', async () => {
    const until = String(Math.floor(Date.now() / 1000));
    await same((cli) =>
      cli.run(['events', '--since', '0', '--until', until, '--format', '{{.Action}} {{.ID}}']),
    );
    const stats = await cofferdam.docker('stats', '--no-stream', '--format', '{{.Name}}', 'web');
    expect(stats.stdout).toBe('web\n');
  });

  it('a client that goes away ends its events at the engine', async () => {
    const client = new RawClient(cofferdam.socket).send('GET /events HTTP/1.1\r\nHost: docker\r\n\r\n');
    await client.untilText('\r\n\r\n');
    const subscribers = async () =>
      Number((await engine.cli.must('info', '--format={{.NEventsListener}}')).trim());
    const before = await subscribers();
    client.close();
    await expect.poll(subscribers, { timeout: 1000 }).toBeLessThan(before);
  });

  it('HEAD /_ping hung or wrong API version: it has the engine’s own head and no body', async () => {
    const heads = await Promise.all(
      [engine.socket, cofferdam.socket].map((socket) =>
        runCommand('curl', [
          '--silent',
          '--head',
          '--max-time',
          '5',
          '--unix-socket',
          socket,
          'http://docker/_ping',
        ]),
      ),
    );
    const [direct, through] = heads.map(({ stdout }) => stdout.replace(/^Date: .*\r\n/m, ''));
    expect(through).toBe(direct);
    expect(through).toContain('Api-Version: ');
  });

  it('WebSocket attach refused: it is accepted, and carries the container’s output', async () => {
    for (const { cli, socket } of [engine, cofferdam]) {
      await cli.must('run', '-d', '-i', '--name', 'ws', ...offline, 'busybox', 'cat');
      const client = new RawClient(socket).send(
        'GET /containers/ws/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: docker\r\nOrigin: http://docker\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
      await client.untilText('\r\n\r\n');
      expect(statusOf(client.text)).toBe(101);
      // One masked text frame, "hello\n" under the mask 0.
      await client.send('\x81\x86\0\0\0\0hello\n').untilText('hello\n');
      client.close();
      await cli.must('rm', '-f', 'ws');
    }
  });

  it('gzip/chunked build contexts: the classic builder reads them all', async () => {
    const folder = join(engine.folder, 'context');
    await runCommand('sh', [
      '-c',
      `mkdir -p ${folder} && printf 'FROM busybox\\nCOPY file /file\\n' > ${folder}/Dockerfile && echo content > ${folder}/file && tar -C ${folder} -czf ${folder}.tgz .`,
    ]);
    const url = 'http://docker/build?t=context';
    const curl = (...argv: string[]) =>
      runCommand('curl', ['--silent', '--unix-socket', cofferdam.socket, '-X', 'POST', ...argv, url]);
    const gzip = ['-H', 'Content-Type: application/x-tar', '-H', 'Content-Encoding: gzip'];
    for (const argv of [
      [...gzip, '--data-binary', `@${folder}.tgz`],
      [...gzip, '-H', 'Transfer-Encoding: chunked', '--data-binary', `@${folder}.tgz`],
    ]) {
      expect((await curl(...argv)).stdout).toContain('Successfully tagged context');
    }
    expect((await cofferdam.docker('run', '--rm', ...offline, 'context', 'cat', '/file')).stdout).toBe(
      'content\n',
    );
  });

  it('spurious 502 at 200-way concurrency: every request is answered', async () => {
    const clients = Array.from({ length: 200 }, () => new RawClient(cofferdam.socket));
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        clients.map(async (client) => {
          await client
            .forget()
            .send('GET /containers/json?all=1 HTTP/1.1\r\nHost: docker\r\n\r\n')
            .untilText(']\n');
          expect(statusOf(client.text)).toBe(200);
        }),
      );
    }
    for (const client of clients) client.close();
  });

  it('copies in and out, and export, byte for byte', async () => {
    const file = join(engine.folder, 'copied');
    writeFileSync(file, Buffer.alloc(5 << 20, 'copied'));
    await cofferdam.cli.must('cp', file, 'web:/copied');
    const sum = await cofferdam.cli.must('exec', 'web', 'sha256sum', '/copied');
    expect(sum).toContain(createHash('sha256').update(readFileSync(file)).digest('hex'));
    await cofferdam.cli.must('cp', 'web:/copied', `${file}.back`);
    expect(readFileSync(`${file}.back`).equals(readFileSync(file))).toBe(true);
    const sums = await Promise.all(
      [engine.cli, cofferdam.cli].map((cli) =>
        runCommand('sh', ['-c', 'docker export web | sha256sum'], { env: cli.environment }),
      ),
    );
    expect(sums[1]).toEqual(sums[0]);
  });

  it('proxy dies when dockerd restarts: 502 while it is away, served again when it is back', async () => {
    const client = new RawClient(cofferdam.socket).send('GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n');
    await client.untilText('OK');
    await engine.halt();
    client.forget().send('GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n');
    await client.untilText('}\n');
    expect(statusOf(client.text)).toBe(502);
    await engine.start();
    client.forget().send('GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n');
    await client.untilText('OK');
    expect(statusOf(client.text)).toBe(200);
    const run = await cofferdam.docker('run', '--rm', ...offline, 'busybox', 'echo', 'again');
    expect(run).toMatchObject({ code: 0, stdout: 'again\n', stderr: '' });
    client.close();
  });
});

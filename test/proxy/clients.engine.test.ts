/** The client matrix: each does the same against the engine itself and through the proxy, with the same outcome. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../src/engine/embedded/command.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { DockerCli } from '../support/docker-cli.js';
import { type Engine, engineVersions, importBusybox } from '../support/engines.js';

const dockerPy = fileURLToPath(new URL('clients/docker_py.py', import.meta.url));
const testcontainers = fileURLToPath(new URL('clients/testcontainers.mjs', import.meta.url));
const nodeClients = fileURLToPath(new URL('clients/node-clients.ts', import.meta.url));

describe.each(engineVersions)('engine %s', (version) => {
  let engine: Engine;
  let cofferdam: Cofferdam;

  beforeAll(async () => {
    engine = await startIsolatingEngine({ version, network: true });
    cofferdam = await startCofferdam({ engine });
    await importBusybox(cofferdam.cli);
  });

  afterAll(async () => {
    await cofferdam?.close();
    await engine?.stop();
  });

  /** Does the same twice, direct first. */
  async function both<T>(act: (cli: DockerCli) => Promise<T>): Promise<T> {
    const direct = await act(engine.cli);
    const through = await act(cofferdam.cli);
    expect(through).toEqual(direct);
    return through;
  }

  it('docker-py', async () => {
    const outcome = await both((cli) => runCommand('/usr/bin/python3', [dockerPy, cli.socket]));
    expect(outcome).toMatchObject({ code: 0 });
    expect(JSON.parse(outcome.stdout)).toMatchObject({
      exec: [4, 'out\n', 'err\n'],
      socket: 'through a socket\n',
      built: 'built\n',
    });
  });

  it('dockerode', async () => {
    const { dockerode } = await import(nodeClients);
    expect(await both((cli) => dockerode(cli.socket))).toMatchObject({
      streams: { out: 'input\n', err: 'err\n' },
      StatusCode: 6,
    });
  });

  it('a GitLab runner’s docker executor', async () => {
    const { gitlabRunner } = await import(nodeClients);
    expect(await both((cli) => gitlabRunner(cli.socket))).toMatchObject([
      { StatusCode: 0 },
      { out: 'source\n', err: 'job\n', StatusCode: 2 },
    ]);
  });

  it('act', async () => {
    const { act } = await import(nodeClients);
    expect(await both((cli) => act(cli.socket))).toMatchObject({ archived: true, stopped: 'exited' });
  });

  it('testcontainers', async () => {
    const outcome = await both((cli) =>
      runCommand(process.execPath, [testcontainers], {
        env: {
          ...process.env,
          DOCKER_HOST: `unix://${cli.socket}`,
          TESTCONTAINERS_RYUK_DISABLED: 'true',
          TESTCONTAINERS_HOST_OVERRIDE: 'localhost',
        },
      }),
    );
    expect(outcome).toMatchObject({ code: 0 });
    expect(JSON.parse(outcome.stdout)).toMatchObject({
      exec: { exitCode: 3, output: 'hello\n' },
      more: { output: 'more' },
    });
  });

  it('compose: up, exec, logs, run, restart, down -v', async () => {
    const folder = join(engine.folder, 'project');
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, 'compose.yaml'),
      'name: matrix\nservices:\n  web:\n    image: busybox\n    network_mode: none\n    init: true\n    command: sh -c "echo serving; exec sleep 1000"\n    volumes: [data:/data]\nvolumes:\n  data: {}\n',
    );
    const compose = (cli: DockerCli, ...argv: string[]) =>
      cli.run(['compose', '--progress', 'quiet', ...argv], { cwd: folder });
    const outcome = await both(async (cli) => [
      await compose(cli, 'up', '-d', '--wait'),
      await compose(cli, 'exec', '-T', 'web', 'sh', '-c', 'echo hello; echo x > /data/x; exit 3'),
      await compose(cli, 'run', '--rm', '-T', 'web', 'cat', '/data/x'),
      await compose(cli, 'restart', '-t', '0'),
      await compose(cli, 'logs', '--no-log-prefix', '--no-color'),
      await compose(cli, 'ps', '--services'),
      await compose(cli, 'down', '-v', '-t', '0'),
    ]);
    expect(outcome.map(({ code }) => code)).toEqual([0, 3, 0, 0, 0, 0, 0]);
    expect(outcome[1]?.stdout).toBe('hello\n');
    rmSync(folder, { recursive: true });
  });

  it('compose build: "use of closed network connection": it builds, and follows the logs to their end', async () => {
    const folder = join(engine.folder, 'built-project');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'Dockerfile'), 'FROM busybox\nCOPY block /\nRUN wc -c /block > /size\n');
    writeFileSync(join(folder, 'block'), Buffer.alloc(8 << 20, 'context'));
    writeFileSync(
      join(folder, 'compose.yaml'),
      'name: built\nservices:\n  web:\n    build: { context: ., network: none }\n    network_mode: none\n    command: sh -c "cat /size; sleep 1; echo end"\n',
    );
    const outcome = await both(async (cli) => {
      const compose = (...argv: string[]) =>
        cli.run(['compose', '--progress', 'quiet', ...argv], { cwd: folder });
      return [
        await compose('build', '--no-cache'),
        await compose('up', '-d'),
        await compose('logs', '-f', '--no-log-prefix', '--no-color'),
        await compose('down', '--rmi', 'all', '-t', '0'),
      ];
    });
    expect(outcome.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(outcome[2]?.stdout).toMatch(/8388608 \/block\n.*end\n/);
    rmSync(folder, { recursive: true });
  });

  describe.each(['0.13', '0.29'] as const)('buildx %s', (buildx) => {
    it('`buildx ls` differs from direct: builds, bake, secrets, ssh, outputs, du and prune are the same', async () => {
      const folder = join(engine.folder, `buildx-${buildx}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'secret'), 'hush\n');
      writeFileSync(
        join(folder, 'Dockerfile'),
        [
          'FROM busybox AS base',
          'COPY secret /copied',
          'ARG WORD',
          'RUN --mount=type=secret,id=key cat /run/secrets/key > /from-secret && echo $WORD >> /from-secret',
          'RUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo agent > /from-ssh',
          'FROM scratch AS files',
          'COPY --from=base /from-secret /from-ssh /copied /',
          '',
        ].join('\n'),
      );
      // BuildKit tells of the failure with the whole file in one header field.
      const comments = '# nothing to see here, and nothing there\n'.repeat(5000);
      writeFileSync(
        join(folder, 'broken.Dockerfile'),
        `FROM busybox\n${comments}RUN echo reason >&2 && exit 9\n`,
      );
      const target = {
        target: 'base',
        tags: ['baked'],
        args: { WORD: 'baked' },
        secret: ['id=key,src=secret'],
        ssh: ['default'],
      };
      writeFileSync(join(folder, 'docker-bake.json'), JSON.stringify({ target: { default: target } }));
      const agent = await runCommand('ssh-agent', ['-s']);
      const environment = Object.fromEntries(
        [...agent.stdout.matchAll(/(SSH_\w+)=([^;]+);/g)].map(([, name, value]) => [name, value]),
      ) as Record<string, string>;
      const outcomes = [];
      for (const socket of [engine.socket, cofferdam.socket]) {
        const cli = await DockerCli.open(socket, { buildx });
        const run = async (...argv: string[]) => {
          const { code, stdout } = await cli.run(['buildx', ...argv], {
            cwd: folder,
            env: { ...environment, BUILDKIT_PROGRESS: 'plain' },
          });
          return { code, stdout };
        };
        const built = await run(
          'build',
          '--no-cache',
          '--secret',
          'id=key,src=secret',
          '--ssh',
          'default',
          '--build-arg',
          'WORD=built',
          '--target',
          'files',
          '--output',
          'out',
          '.',
        );
        const files =
          built.code === 0
            ? ['from-secret', 'from-ssh', 'copied'].map((name) =>
                readFileSync(join(folder, 'out', name), 'utf8'),
              )
            : [];
        const baked = await run('bake', '--no-cache');
        const broken = await cli.run(
          [
            'buildx',
            'build',
            '--progress',
            'plain',
            '--no-cache',
            '--network',
            'none',
            '-f',
            'broken.Dockerfile',
            '.',
          ],
          { cwd: folder },
        );
        const listed = await run('ls');
        const used = await run('du', '--verbose');
        const pruned = await run('prune', '--force', '--all');
        outcomes.push({
          built: built.code,
          files,
          baked: baked.code,
          image: (await cli.run(['run', '--rm', '--network', 'none', 'baked', 'cat', '/from-secret'])).stdout,
          broken: [
            broken.code,
            broken.stderr.includes('5002 | >>> RUN'),
            broken.stderr.includes('exit code: 9'),
          ],
          listed,
          used: [used.code, used.stdout.includes('Reclaimable')],
          pruned: pruned.code,
        });
        rmSync(join(folder, 'out'), { recursive: true, force: true });
        cli.close();
      }
      await runCommand('ssh-agent', ['-k'], { env: { ...process.env, ...environment } });
      expect(outcomes[1]).toEqual(outcomes[0]);
      expect(outcomes[1]).toMatchObject({
        built: 0,
        files: ['hush\nbuilt\n', 'agent\n', 'hush\n'],
        image: 'hush\nbaked\n',
        // BuildKit of 20.10 doesn't show the line of the Dockerfile for a step that long.
        broken: [1, version !== '20.10', true],
      });
      rmSync(folder, { recursive: true });
    });

    it('docker build of a large context, and load, save', async () => {
      const cli = await DockerCli.open(cofferdam.socket, { buildx });
      const folder = join(engine.folder, 'large');
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'Dockerfile'), 'FROM busybox\nCOPY block /block\n');
      writeFileSync(join(folder, 'block'), Buffer.alloc(100 << 20, 'x'));
      expect((await cli.run(['build', '-t', 'large', folder])).code).toBe(0);
      expect((await cli.run(['save', '-o', join(folder, 'image.tar'), 'large'])).code).toBe(0);
      expect((await cli.run(['rmi', 'large'])).code).toBe(0);
      expect((await cli.run(['load', '-i', join(folder, 'image.tar')])).stdout).toContain('large');
      expect(
        (await cli.run(['run', '--rm', '--network', 'none', 'large', 'wc', '-c', '/block'])).stdout.trim(),
      ).toBe('104857600 /block');
      cli.close();
      rmSync(folder, { recursive: true });
    });
  });
});

/** `docker build -` with packed contexts on the classic builder of real engines, while a registry list is on. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngineClient } from '../../src/engine/client.js';
import { grpcJudgeFor, streamJudgeFor } from '../../src/registry/judges.js';
import { registryRules } from '../../src/rules/registry-rules.js';
import { settingsSchema } from '../../src/settings/schema.js';
import { startTestProxy, type TestProxy } from '../proxy/start.js';
import { DockerCli } from '../support/docker-cli.js';
import { type Engine, importBusybox, startEngine } from '../support/engines.js';
import { CountedRegistry } from './registries.js';
import { tarArchive } from './tar-archives.js';

describe.each(['28.5', '20.10'] as const)('engine %s', (version) => {
  let engine: Engine;
  let evil: CountedRegistry;
  let client: EngineClient;
  let proxy: TestProxy;
  let cli: DockerCli;

  beforeAll(async () => {
    evil = await CountedRegistry.start();
    engine = await startEngine({ version });
    await importBusybox(engine.cli);
    client = new EngineClient(engine.socket);
    const { Version, ApiVersion } = await client.version();
    const settings = {
      current: settingsSchema.parse({ registryAccess: { value: true, registries: [], localImages: true } }),
      generation: 1,
    };
    proxy = await startTestProxy(engine.socket, {
      settings,
      rules: registryRules,
      facts: {
        engine: () => ({ version: Version, apiVersion: ApiVersion, cgroupVersion: '2', dataRoot: '/' }),
        resolve: () => Promise.reject(new Error('registry rules need no facts')),
        changing: () => () => undefined,
        noteExec: () => undefined,
      },
      judgeGrpc: (request) => grpcJudgeFor(request, client, settings),
      judgeStream: (request) => streamJudgeFor(request, client),
    });
    cli = await DockerCli.open(proxy.socket);
  });

  afterAll(async () => {
    cli?.close();
    await proxy?.stop();
    await client?.close();
    await engine?.stop();
    await evil?.close();
  });

  const build = (program: string, dockerfile: string, ...argv: string[]) => {
    const filling = Buffer.alloc(3_000_000, 'some content ');
    const archive = tarArchive(
      { name: 'file', content: filling },
      { name: 'Dockerfile', content: dockerfile },
    );
    const input = program === 'plain' ? archive : execFileSync(program, ['-c'], { input: archive });
    return cli.run(['build', ...argv, '-'], { env: { DOCKER_BUILDKIT: '0' }, input });
  };

  test.each(['plain', 'gzip', 'bzip2', 'xz', 'zstd'])('%s', async (program) => {
    const contacts = await evil.during(async () => {
      const refused = await build(program, `FROM ${evil.address}/team/base:1`);
      expect(`${refused.stderr}${refused.stdout}`).toContain('has been restricted by your administrators');
    });
    expect(contacts).toBe(0);
    const made = await build(program, 'FROM busybox\nCOPY file /file', '-t', `from-${program}`);
    expect(made.stderr).not.toContain('registry access');
    expect(made.code).toBe(0);
    const seen = await engine.cli.must(
      'run',
      '--rm',
      '--network',
      'none',
      `from-${program}`,
      'wc',
      '-c',
      '/file',
    );
    expect(seen).toBe('3000000 /file');
  });
});

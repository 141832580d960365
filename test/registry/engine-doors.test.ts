/**
 * Every door to a registry, on real engines and registries: with a list on, a registry that isn't listed gets no
 * connection at all, and a listed one works. Each refused door is also tried without a list, where the same command
 * does connect: so a door that the test doesn't really try can't pass for a closed one.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EngineClient } from '../../src/engine/client.js';
import type { CommandResult } from '../../src/engine/embedded/command.js';
import { grpcJudgeFor, streamJudgeFor } from '../../src/registry/judges.js';
import { registryRules } from '../../src/rules/registry-rules.js';
import { type Settings, settingsSchema } from '../../src/settings/schema.js';
import { startTestProxy, type TestProxy } from '../proxy/start.js';
import { DockerCli } from '../support/docker-cli.js';
import { type Engine, type EngineOptions, importBusybox, startEngine } from '../support/engines.js';
import { CountedRegistry } from './registries.js';

type Door = (cli: DockerCli, evil: string, good: string) => Promise<CommandResult>;

interface Kind {
  readonly title: string;
  readonly options: EngineOptions;
}

const kinds: readonly Kind[] = [
  { title: '28.5 overlay2', options: { version: '28.5', store: 'overlay2' } },
  { title: '28.5 containerd', options: { version: '28.5', store: 'containerd', buildx: '0.29' } },
  { title: '26.1', options: { version: '26.1' } },
  { title: '20.10', options: { version: '20.10' } },
];

const restricted = 'has been restricted by your administrators';
// BuildKit's own denial, with our text behind it.
const byPolicy = /denied by policy: registry access to .* has been restricted by your administrators/;

describe.each(kinds)('engine $title', ({ options }) => {
  let engine: Engine;
  let good: CountedRegistry;
  let evil: CountedRegistry;
  let client: EngineClient;
  let settings: { current: Settings; generation: number };
  let proxy: TestProxy;
  let cli: DockerCli;
  const folders: string[] = [];

  beforeAll(async () => {
    good = await CountedRegistry.start();
    evil = await CountedRegistry.start();
    engine = await startEngine(options);
    await importBusybox(engine.cli);
    for (const registry of [good, evil]) {
      await engine.cli.must('tag', 'busybox', `${registry.address}/team/base:1`);
      await engine.cli.must('push', `${registry.address}/team/base:1`);
      await engine.cli.must('rmi', `${registry.address}/team/base:1`);
    }
    client = new EngineClient(engine.socket);
    const { Version, ApiVersion } = await client.version();
    settings = { current: settingsSchema.parse({}), generation: 1 };
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
    cli = await DockerCli.open(proxy.socket, options.buildx === undefined ? {} : { buildx: options.buildx });
  });

  afterAll(async () => {
    cli?.close();
    await proxy?.stop();
    await client?.close();
    await engine?.stop();
    await good?.close();
    await evil?.close();
  });

  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  function list(registries: readonly object[], more: object = {}): void {
    settings.current = settingsSchema.parse({ registryAccess: { value: true, registries, ...more } });
  }

  function context(files: Readonly<Record<string, string>>): string {
    const folder = mkdtempSync(join(tmpdir(), 'cofferdam-context-'));
    folders.push(folder);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    return folder;
  }

  const build =
    (dockerfile: (evil: string, good: string) => string, ...flags: readonly string[]): Door =>
    (docker, evilAddress, goodAddress) => {
      const folder = context({ Dockerfile: dockerfile(evilAddress, goodAddress), file: 'x' });
      const argv = flags.map((flag) => flag.replaceAll('EVIL', evilAddress).replaceAll('GOOD', goodAddress));
      return docker.run(['buildx', 'build', '--progress=plain', '--provenance=false', ...argv, folder]);
    };

  const plainDoors: readonly (readonly [string, Door, string])[] = [
    ['pull', (docker, host) => docker.run(['pull', `${host}/team/base:1`]), restricted],
    ['pull of every tag', (docker, host) => docker.run(['pull', '-a', `${host}/team/base`]), restricted],
    [
      'pull by digest',
      (docker, host) => docker.run(['pull', `${host}/team/base@sha256:${'a'.repeat(64)}`]),
      restricted,
    ],
    [
      'run of a missing image',
      (docker, host) => docker.run(['run', '--rm', `${host}/team/base:1`, 'true']),
      restricted,
    ],
    [
      'push',
      async (docker, host) => {
        await engine.cli.must('tag', 'busybox', `${host}/team/pushed:1`);
        const result = await docker.run(['push', `${host}/team/pushed:1`]);
        await engine.cli.must('rmi', `${host}/team/pushed:1`);
        return result;
      },
      restricted,
    ],
    ['login', (docker, host) => docker.run(['login', '-u', 'u', '-p', 'p', host]), restricted],
    ['search', (docker, host) => docker.run(['search', `${host}/team`]), restricted],
    ['import from an address', (docker, host) => docker.run(['import', `http://${host}/v2/`]), restricted],
    [
      'plugin install',
      (docker, host) => docker.run(['plugin', 'install', '--grant-all-permissions', `${host}/team/plugin:1`]),
      restricted,
    ],
  ];

  /** Every container and image of the engine. */
  async function objects(): Promise<readonly string[]> {
    const lists = [await engine.cli.must('ps', '-aq'), await engine.cli.must('images', '-aq')];
    return lists.flatMap((text) => text.split('\n')).sort();
  }

  /** Tries a door without a list, where it must connect, and with one, where it must not. */
  async function expectClosed(door: Door, words: string | RegExp): Promise<void> {
    const forget = async () => {
      if (options.version !== '20.10') await engine.cli.run(['buildx', 'prune', '-af']);
      await engine.cli.run(['rmi', '-f', `${evil.address}/team/base:1`]);
    };
    settings.current = settingsSchema.parse({});
    await forget();
    const open = await evil.during(() => door(cli, evil.address, good.address));
    expect(open, 'without a list the command connects').toBeGreaterThan(0);
    await forget();
    list([{ address: good.address }]);
    const before = await objects();
    let result: CommandResult | undefined;
    const contacts = await evil.during(async () => {
      result = await door(cli, evil.address, good.address);
    });
    expect(contacts).toBe(0);
    expect(result?.code).not.toBe(0);
    expect(`${result?.stderr}${result?.stdout}`).toMatch(words);
    expect(await objects()).toEqual(before);
  }

  test.each(plainDoors)('%s', (_name, door, words) => expectClosed(door, words));

  const classic =
    (dockerfile: (evil: string, good: string) => string, ...flags: readonly string[]): Door =>
    (docker, evilAddress, goodAddress) => {
      const folder = context({ Dockerfile: dockerfile(evilAddress, goodAddress), file: 'x' });
      const argv = flags.map((flag) => flag.replaceAll('EVIL', evilAddress));
      return docker.run(['build', ...argv, folder], { env: { DOCKER_BUILDKIT: '0' } });
    };

  const classicDoors: readonly (readonly [string, Door, string])[] = [
    ['FROM', classic((host) => `FROM ${host}/team/base:1`), restricted],
    ['FROM with --pull', classic((host) => `FROM ${host}/team/base:1`, '--pull'), restricted],
    [
      'FROM by ARG',
      classic(() => 'ARG BASE\nFROM $BASE', '--build-arg', 'BASE=EVIL/team/base:1'),
      restricted,
    ],
    ['COPY --from', classic((host) => `FROM scratch\nCOPY --from=${host}/team/base:1 /etc /etc`), restricted],
    ['ADD of an address', classic((host) => `FROM scratch\nADD http://${host}/v2/ /x`), restricted],
    ['a packed context', classic((host) => `FROM ${host}/team/base:1`, '--compress'), restricted],
  ];

  test.each(classicDoors)('classic builder: %s', (_name, door, words) => expectClosed(door, words));

  test('classic builder: listed and local images work', async () => {
    list([{ address: good.address }]);
    await cli.must('pull', `${good.address}/team/base:1`);
    await engine.cli.must('tag', 'busybox', `${evil.address}/team/local:1`);
    const contacts = await evil.during(async () => {
      const dockerfile = (host: string, listed: string) =>
        `FROM ${host}/team/local:1 AS local\nFROM ${listed}/team/base:1\nCOPY --from=local /etc/passwd /copied\nCOPY file /file`;
      const result = await classic(dockerfile, '-t', 'classic')(cli, evil.address, good.address);
      expect(result.stderr).not.toContain('registry access');
      expect(result.code).toBe(0);
    });
    expect(contacts).toBe(0);
    await engine.cli.must('rmi', `${evil.address}/team/local:1`);
  });

  if (options.version === '20.10') {
    test('BuildKit of this engine can’t be held to a list', async () => {
      list([{ address: good.address }]);
      const result = await build((_evil, goodAddress) => `FROM ${goodAddress}/team/base:1`)(
        cli,
        evil.address,
        good.address,
      );
      expect(result.stderr).toContain('older than 24.0');
    });
    return;
  }

  const buildDoors: readonly (readonly [string, Door, string | RegExp])[] = [
    ['FROM', build((host) => `FROM ${host}/team/base:1`), byPolicy],
    ['FROM with --pull', build((host) => `FROM ${host}/team/base:1`, '--pull'), byPolicy],
    ['FROM by digest', build((host) => `FROM ${host}/team/base@sha256:${'a'.repeat(64)}`), byPolicy],
    ['FROM by ARG', build(() => 'ARG BASE\nFROM $BASE', '--build-arg', 'BASE=EVIL/team/base:1'), byPolicy],
    [
      'FROM of another platform',
      build((host) => `FROM --platform=linux/arm64 ${host}/team/base:1`),
      byPolicy,
    ],
    ['COPY --from', build((host) => `FROM scratch\nCOPY --from=${host}/team/base:1 /etc /etc`), byPolicy],
    [
      'RUN --mount from',
      build(
        (host, listed) =>
          `FROM ${listed}/team/base:1\nRUN --network=none --mount=type=bind,from=${host}/team/base:1,target=/m ls /m`,
      ),
      byPolicy,
    ],
    ['# syntax=', build((host) => `# syntax=${host}/team/base:1\nFROM scratch`), byPolicy],
    [
      'BUILDKIT_SYNTAX',
      build(() => 'FROM scratch\nCOPY file /', '--build-arg', 'BUILDKIT_SYNTAX=EVIL/team/base:1'),
      byPolicy,
    ],
    [
      '--build-context',
      build(
        () => 'FROM scratch\nCOPY --from=other /etc /etc',
        '--build-context',
        'other=docker-image://EVIL/team/base:1',
      ),
      byPolicy,
    ],
    [
      'a context that overrides a listed name',
      build(
        (_host, listed) => `FROM ${listed}/team/base:1`,
        '--build-context',
        'GOOD/team/base:1=docker-image://EVIL/team/base:1',
      ),
      byPolicy,
    ],
    ['ADD of an address', build((host) => `FROM scratch\nADD http://${host}/v2/ /x`), byPolicy],
    [
      '--cache-from',
      build(() => 'FROM scratch\nCOPY file /', '--cache-from', 'EVIL/team/cache:1'),
      restricted,
    ],
  ];

  test.each(buildDoors)('BuildKit: %s', (_name, door, words) => expectClosed(door, words));

  if (options.store === 'containerd') {
    // With overlay2 dockerd's BuildKit neither pushes nor exports caches itself.
    test.each<[string, Door]>([
      [
        'a pushing exporter',
        build(() => 'FROM scratch\nCOPY file /', '--output', 'type=image,name=EVIL/team/x:1,push=true'),
      ],
      ['--push', build(() => 'FROM scratch\nCOPY file /', '-t', 'EVIL/team/x:1', '--push')],
      [
        'a cache export',
        build(() => 'FROM scratch\nCOPY file /', '--cache-to', 'type=registry,ref=EVIL/team/cache:1'),
      ],
    ])('BuildKit: %s', (_name, door) => expectClosed(door, restricted));
  }

  const clientPolicies: readonly (readonly [string, (evil: string, good: string) => readonly object[]])[] = [
    [
      'that allows everything',
      () => [{ action: 'ALLOW', selector: { identifier: '^', matchType: 'REGEX' } }],
    ],
    [
      'that takes the name of our denial and never holds',
      () => [
        {
          action: 'DENY',
          selector: {
            identifier: '^',
            matchType: 'REGEX',
            constraints: [{ key: 'no', value: 'such', condition: 'EQUAL' }],
          },
        },
      ],
    ],
  ];

  test.each(clientPolicies)('BuildKit: a policy of the client %s', async (_name, policy) => {
    const folder = context({ 'policy.json': '' });
    const file = join(folder, 'policy.json');
    writeFileSync(file, JSON.stringify({ version: 1, rules: policy(evil.address, good.address) }));
    const door: Door = (docker, host) => {
      const source = context({ Dockerfile: `FROM ${host}/team/base:1` });
      return docker.run(['buildx', 'build', '--progress=plain', source], {
        env: { EXPERIMENTAL_BUILDKIT_SOURCE_POLICY: file },
      });
    };
    await expectClosed(door, byPolicy);
  });

  test('BuildKit: a policy of the client that turns a listed image into another', async () => {
    const folder = context({ 'policy.json': '' });
    const file = join(folder, 'policy.json');
    const rules = [
      {
        action: 'CONVERT',
        selector: { identifier: `docker-image://${good.address}/team/base:1` },
        updates: { identifier: `docker-image://${evil.address}/team/base:1` },
      },
    ];
    writeFileSync(file, JSON.stringify({ version: 1, rules }));
    const door: Door = (docker, _host, listed) => {
      const source = context({ Dockerfile: `FROM ${listed}/team/base:1` });
      return docker.run(['buildx', 'build', '--progress=plain', source], {
        env: { EXPERIMENTAL_BUILDKIT_SOURCE_POLICY: file },
      });
    };
    await expectClosed(door, byPolicy);
  });

  test('BuildKit: a local image works without a contact, and --pull is refused', async () => {
    list([{ address: good.address }]);
    await engine.cli.must('tag', 'busybox', `${evil.address}/team/local:1`);
    await engine.cli.run(['buildx', 'prune', '-af']);
    const dockerfile = (host: string) => `FROM ${host}/team/local:1\nCOPY file /file`;
    const contacts = await evil.during(async () => {
      const made = await build(dockerfile, '-t', 'from-local')(cli, evil.address, good.address);
      expect(made.stderr).toContain('exporting');
      expect(made.code).toBe(0);
      const pulled = await build(dockerfile, '--pull')(cli, evil.address, good.address);
      expect(pulled.code).not.toBe(0);
    });
    expect(contacts).toBe(0);
    list([{ address: good.address }], { localImages: false });
    const refused = await build(dockerfile)(cli, evil.address, good.address);
    expect(refused.stderr).toMatch(byPolicy);
    await engine.cli.must('rmi', `${evil.address}/team/local:1`);
  });

  test('BuildKit: a listed registry works, and the image is what it would be', async () => {
    list([{ address: good.address }]);
    await cli.run(['buildx', 'prune', '-af']);
    const contacts = await evil.during(async () => {
      const result = await build(
        (_evil, listed) => `FROM ${listed}/team/base:1\nRUN --network=none true\nCOPY file /file`,
        '-t',
        'made',
      )(cli, evil.address, good.address);
      expect(result.stderr).toContain('exporting');
      expect(result.code).toBe(0);
    });
    expect(contacts).toBe(0);
  });
});

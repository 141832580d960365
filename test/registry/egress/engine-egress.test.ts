/**
 * The engine's way out on real engines, with every door open on purpose: the commands go to the engine itself, past
 * all rules. What isn't listed gets no connection; listed registries work, and so do the stores that they redirect to.
 */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addressKind } from '../../../src/daemon/egress.js';
import { engineProxies, proxyEnvironment } from '../../../src/engine/engine-proxies.js';
import { Egress } from '../../../src/registry/egress/egress.js';
import { type Settings, settingsSchema } from '../../../src/settings/schema.js';
import { type Engine, type EngineOptions, importBusybox, startEngine } from '../../support/engines.js';
import { CountedRegistry } from '../registries.js';
import { namedOnLoopback, TestAuthority, TlsDoor } from './tls-registries.js';

const kinds: readonly (readonly [string, EngineOptions])[] = [
  ['28.5 overlay2', { version: '28.5', store: 'overlay2' }],
  ['28.5 containerd', { version: '28.5', store: 'containerd', buildx: '0.29' }],
  ['20.10', { version: '20.10' }],
];

describe.each(kinds)('an engine %s without any rule before it', (_title, options) => {
  const folder = mkdtempSync(join(tmpdir(), 'cofferdam-egress-'));
  const authority = new TestAuthority(['good.test', 'store.test', 'evil.test', 'inner.test']);
  const settings: { current: Settings } = { current: settingsSchema.parse({}) };
  const refusals: string[] = [];
  let registry: CountedRegistry;
  let [good, store, evil]: TlsDoor[] = [];
  let egress: Egress;
  let engine: Engine;
  let doors: { readonly good: TlsDoor; readonly store: TlsDoor; readonly evil: TlsDoor };

  beforeAll(async () => {
    registry = await CountedRegistry.start();
    good = await TlsDoor.open('good.test', authority, registry);
    store = await TlsDoor.open('store.test', authority, registry);
    evil = await TlsDoor.open('evil.test', authority, registry);
    doors = { good, store, evil };
    egress = await Egress.start({
      port: 0,
      settings,
      stateFile: join(folder, 'redirects.json'),
      imageNames: async () => [],
      onRefused: (text) => refusals.push(text),
      connector: { kindOf: addressKind, ...namedOnLoopback },
      certificates: authority.certificatesFor(good.address),
    });
    const plain = `plain.test:${registry.address.split(':')[1]}`;
    const insecure = [...[good, store, evil].map(({ address }) => address), plain];
    engine = await startEngine({
      ...options,
      ...(options.version === '20.10' ? { env: proxyEnvironment(egress.port) } : {}),
      configuration: {
        'insecure-registries': insecure,
        ...(options.version === '20.10' ? {} : { proxies: engineProxies(egress.port) }),
      },
    });
    await importBusybox(engine.cli);
    await engine.cli.must('tag', 'busybox', `${good.address}/team/base:1`);
    await engine.cli.must('push', `${good.address}/team/base:1`);
    await engine.cli.must('rmi', `${good.address}/team/base:1`);
  });

  afterAll(async () => {
    await engine?.stop();
    await egress?.close();
    for (const door of Object.values(doors ?? {})) await door.close();
    await registry?.close();
    authority.close();
    rmSync(folder, { recursive: true });
  });

  beforeEach(() => {
    refusals.length = 0;
    settings.current = settingsSchema.parse({
      registryAccess: { value: true, egress: true, registries: [{ address: doors.good.address }] },
    });
  });

  const build = (dockerfile: string) => {
    const context = mkdtempSync(join(folder, 'context-'));
    writeFileSync(join(context, 'Dockerfile'), dockerfile);
    const builder = options.version === '20.10' ? ['build'] : ['buildx', 'build', '--progress=plain'];
    return engine.dockerWith({ env: { DOCKER_BUILDKIT: '1' } }, ...builder, '--no-cache', context);
  };

  test.each([
    ['pull', () => engine.docker('pull', `${doors.evil.address}/team/base:1`)],
    ['build', () => build(`FROM ${doors.evil.address}/team/base:1`)],
    ['ADD', () => build(`FROM scratch\nADD https://${doors.evil.address}/v2/ /x`)],
    ['ADD without TLS', () => build(`FROM scratch\nADD http://${doors.evil.address}/v2/ /x`)],
    ['import', () => engine.docker('import', `https://${doors.evil.address}/v2/`)],
    ['search', () => engine.docker('search', `${doors.evil.address}/team`)],
    ['login', () => engine.docker('login', '-u', 'u', '-p', 'p', doors.evil.address)],
    [
      'plugin',
      () => engine.docker('plugin', 'install', '--grant-all-permissions', `${doors.evil.address}/a/b`),
    ],
    ['another port', () => engine.docker('pull', `${doors.good.address.replace(/\d$/, '')}/team/base:1`)],
    ['an address', () => engine.docker('pull', '198.51.100.7/team/base:1')],
  ])('%s from a registry that is not listed connects to nothing', async (_name, door) => {
    let result: Awaited<ReturnType<typeof door>> | undefined;
    const contacts = await doors.evil.during(async () => {
      result = await door();
    });
    expect(contacts).toBe(0);
    expect(result?.code).not.toBe(0);
    expect(`${result?.stderr}${result?.stdout}`).toMatch(
      /restricted by your administrators|Forbidden|status(?: code)? 403/,
    );
    expect(refusals.join('\n')).toContain('has been restricted by your administrators');
  });

  test('a listed registry works: pull, push, build', async () => {
    const image = `${doors.good.address}/team/base:1`;
    expect(await doors.good.during(() => engine.cli.must('pull', image))).toBeGreaterThan(0);
    await engine.cli.must('tag', image, `${doors.good.address}/team/again:1`);
    await engine.cli.must('push', `${doors.good.address}/team/again:1`);
    const built = await build(`FROM ${doors.good.address}/team/again:1\nCOPY --from=${image} /bin /copied`);
    expect(built.stderr).not.toContain('restricted');
    expect(built.code).toBe(0);
    await engine.cli.must('rmi', '-f', image, `${doors.good.address}/team/again:1`);
  });

  test('the store that a listed registry redirects to is learnt from its own answer, and only then', async () => {
    const image = `${doors.good.address}/team/stored:1`;
    // Content that isn't in the engine's store once the image is removed.
    writeFileSync(join(folder, 'unique'), randomUUID());
    const input = execFileSync('tar', ['-c', '-C', folder, 'unique']);
    expect((await engine.dockerWith({ input }, 'import', '-', image)).code).toBe(0);
    await engine.cli.must('push', image);
    await engine.cli.must('rmi', image);
    const before = await engine.docker('pull', `${doors.store.address}/team/stored:1`);
    expect(before.code).not.toBe(0);
    expect(doors.store.connections).toBe(0);
    doors.good.redirectTo = doors.store.address;
    egress.note({ domain: doors.good.address, path: 'team/stored', tag: '1' }, undefined);
    const pulled = await engine.docker('pull', image);
    expect(pulled.stderr).toBe('');
    expect(doors.store.connections).toBeGreaterThan(0);
    doors.good.redirectTo = undefined;
    // A registry that is taken from the list takes its stores with it.
    settings.current = settingsSchema.parse({ registryAccess: { value: true, egress: true } });
    expect(
      await doors.store.during(() => engine.docker('pull', `${doors.store.address}/team/stored:1`)),
    ).toBe(0);
  });

  test('a listed registry without TLS works', async () => {
    const plain = `plain.test:${registry.address.split(':')[1]}`;
    settings.current = settingsSchema.parse({
      registryAccess: { value: true, egress: true, registries: [{ address: plain }] },
    });
    await engine.cli.must('pull', `${plain}/team/base:1`);
    await engine.cli.must('tag', `${plain}/team/base:1`, `${plain}/team/plain:1`);
    await engine.cli.must('push', `${plain}/team/plain:1`);
  });

  test('without a list everything is reached', async () => {
    settings.current = settingsSchema.parse({ registryAccess: { value: false, egress: true } });
    await engine.cli.must('pull', `${doors.evil.address}/team/base:1`);
    expect(doors.evil.connections).toBeGreaterThan(0);
  });
});

import { describe, expect, test } from 'vitest';
import { buildkitJudge } from '../../../src/registry/buildkit/judge.js';
import { inspected } from '../../../src/registry/buildkit/methods.js';
import { WireMessage } from '../../../src/registry/buildkit/wire.js';
import { settingsSchema } from '../../../src/settings/schema.js';
import { judge, judgeOf, list, refusal } from './judging.js';
import { definition, entries, execOperation, type FieldValue, message } from './messages.js';

describe('isolation of the steps, with or without a list', () => {
  test.each<[string, string, Uint8Array, string]>([
    [
      'an entitlement for the host network',
      inspected.controlSolve,
      message([9, 'network.host']),
      'network.host',
    ],
    ['one for no sandbox', inspected.controlSolve, message([9, 'security.insecure']), 'security.insecure'],
    [
      'one for devices',
      inspected.controlSolve,
      message([9, 'device=vendor.com/class=all']),
      '--allow device',
    ],
    [
      'the frontend’s network mode',
      inspected.controlSolve,
      message(...entries(7, { 'force-network-mode': 'host' })),
      "host's network",
    ],
    [
      'the frontend’s parent cgroup',
      inspected.controlSolve,
      message(...entries(7, { 'cgroup-parent': '/' })),
      'parent cgroup',
    ],
    [
      'the same through the gateway',
      inspected.bridgeSolve,
      message([2, 'dockerfile.v0'], ...entries(3, { 'force-network-mode': 'host' })),
      "host's network",
    ],
    [
      'a step with the host network',
      inspected.controlSolve,
      message([2, definition(execOperation([3, 1]))]),
      "host's network",
    ],
    [
      'a number that Go cuts to the same',
      inspected.controlSolve,
      message([2, definition(execOperation([3, 2 ** 32 + 1]))]),
      "host's network",
    ],
    [
      'a step without a sandbox',
      inspected.bridgeSolve,
      message([1, definition(execOperation([4, 1]))]),
      'without a sandbox',
    ],
    [
      'a step with devices',
      inspected.bridgeSolve,
      message([1, definition(execOperation([6, message([1, 'vendor.com/class=all'])]))]),
      'devices',
    ],
    [
      'a step with a parent cgroup',
      inspected.bridgeSolve,
      message([1, definition(execOperation([1, message([10, '/'])]))]),
      'parent cgroup',
    ],
    [
      'an operation in two halves',
      inspected.controlSolve,
      message([2, message([1, message([2, message([4, 0])])])], [2, definition(execOperation([3, 1]))]),
      "host's network",
    ],
    ['a container of the gateway', inspected.newContainer, message([3, 1]), "host's network"],
    ['a process of it', inspected.execProcess, message([2, message([5, 1])]), 'without a sandbox'],
  ])('%s is refused', async (_title, path, bytes, words) => {
    expect(await refusal(path, bytes, { settings: {} })).toContain(words);
    expect(await refusal(path, bytes)).toContain(words);
  });

  test('with isolation off and no list nothing is read', async () => {
    const settings = { enhancedContainerIsolation: { value: false } };
    expect(await judge(inspected.controlSolve, message([9, 'network.host']), { settings })).toEqual({
      kind: 'allow',
    });
    expect(await judge(inspected.controlSolve, new Uint8Array([255]), { settings })).toEqual({
      kind: 'allow',
    });
  });

  test('without a list a Solve passes as it came, on any engine', async () => {
    const verdict = await judge(inspected.controlSolve, message([1, 'ref'], [99, 'new']), {
      settings: {},
      engineVersion: '20.10.24',
    });
    expect(verdict).toEqual({ kind: 'allow' });
  });
});

describe('a field that is not known here', () => {
  const step = (...fields: readonly (readonly [number, FieldValue])[]) =>
    message([2, definition(execOperation(...fields))]);
  test.each<[string, string, Uint8Array]>([
    ['pb.Op', inspected.controlSolve, message([2, definition(message([9, '']))])],
    ['pb.ExecOp', inspected.controlSolve, step([7, 'all'])],
    ['pb.Meta', inspected.controlSolve, step([1, message([13, 1])])],
    ['pb.Mount', inspected.controlSolve, step([2, message([3, '/host'], [25, '/'])])],
    ['pb.ExecOp', inspected.bridgeSolve, message([1, definition(execOperation([7, 'all']))])],
    ['gateway.NewContainerRequest', inspected.newContainer, message([8, 1])],
    ['pb.Mount', inspected.newContainer, message([2, message([25, '/'])])],
    ['gateway.ExecMessage', inspected.execProcess, message([9, ''])],
    ['gateway.InitMessage', inspected.execProcess, message([2, message([7, 1])])],
    ['pb.Meta', inspected.execProcess, message([2, message([2, message([13, 1])])])],
  ])('of %s is refused', async (type, path, bytes) => {
    for (const options of [{ settings: {} }, {}])
      expect(await refusal(path, bytes, options)).toMatch(
        new RegExp(`field \\d+ of ${type} is not known here`),
      );
  });

  test.each<[string, Uint8Array]>([
    ['pb.SourceOp', message([2, definition(message([3, message([1, 'local://context'], [3, 1])]))])],
    ['control.CacheOptions', message([8, message([6, ''])])],
    ['CacheOptionsEntry', message([8, message([5, message([1, 'inline'], [3, ''])])])],
    ['control.Exporter', message([13, message([1, 'moby'], [3, ''])])],
  ])('of %s is refused while registries are restricted', async (type, bytes) => {
    expect(await refusal(inspected.controlSolve, bytes)).toContain(`of ${type} is not known here`);
  });

  test('passes where nothing is isolated or restricted by it', async () => {
    const settings = { ...list, enhancedContainerIsolation: { value: false } };
    const verdict = await judge(inspected.newContainer, message([8, 1]), { settings });
    expect(verdict).toEqual({ kind: 'allow' });
  });
});

describe('names that are trusted with the Docker socket', () => {
  const trusting = (value: boolean) => ({
    settings: {
      enhancedContainerIsolation: {
        value,
        dockerSocketMount: { imageList: { images: ['portainer/portainer-ce'] } },
      },
    },
  });
  const named = (name: string, type = 'moby') =>
    message([13, message([1, type], ...entries(2, { name, push: 'false' }))]);

  test.each([
    ['by an exporter', named('ok,docker.io/portainer/portainer-ce:latest')],
    ['by the image exporter', named('portainer/portainer-ce', 'image')],
    ['by the old fields', message([3, 'moby'], ...entries(4, { name: 'portainer/portainer-ce' }))],
    ['by what the build itself says', named('*')],
  ])('aren’t given to a build %s', async (_title, bytes) => {
    expect(await refusal(inspected.controlSolve, bytes, trusting(true))).toContain('trusted with the Docker');
  });

  test('may stand in archives that go to the client, and mean nothing without isolation', async () => {
    const allow = { kind: 'allow' };
    expect(
      await judge(inspected.controlSolve, named('portainer/portainer-ce', 'docker'), trusting(true)),
    ).toEqual(allow);
    expect(await judge(inspected.controlSolve, named('portainer/portainer-ce:mine'), trusting(true))).toEqual(
      allow,
    );
    expect(await judge(inspected.controlSolve, named('portainer/portainer-ce'), trusting(false))).toEqual(
      allow,
    );
  });
});

describe('contexts by address', () => {
  const context = (key: string, value: string) =>
    message([6, 'dockerfile.v0'], ...entries(7, { [key]: value }));
  const free = { settings: {} };

  test.each([
    ['context', 'http://169.254.169.254/latest'],
    ['context', 'https://2130706433/x.git#main'],
    ['context', 'git@localhost:x.git'],
    ['context:base', 'http://[::ffff:127.0.0.1]:8080/'],
  ])('%s %s is refused', async (key, value) => {
    expect(await refusal(inspected.controlSolve, context(key, value), free)).toContain('inner network');
    const bridge = message([2, 'dockerfile.v0'], ...entries(3, { [key]: value }));
    expect(await refusal(inspected.bridgeSolve, bridge, free)).toContain('inner network');
  });

  test.each([
    ['context', 'https://example.com/x.tar'],
    ['context', 'https://github.com/a/b.git'],
    ['context:base', 'docker-image://localhost:5000/x'],
    ['context:base', 'local:localhost'],
    ['contextsubdir', 'localhost'],
  ])('%s %s passes', async (key, value) => {
    expect(await judge(inspected.controlSolve, context(key, value), free)).toEqual({ kind: 'allow' });
  });
});

describe('a client that may not push', () => {
  const pushRefusal = { text: 'docker command "push" is blocked', setting: 'commandList' };
  const settings = settingsSchema.parse({ enhancedContainerIsolation: { value: false } });
  const judged = () =>
    buildkitJudge({
      settings: () => settings,
      engineVersion: '28.5.2',
      localImages: async () => [],
      pushRefusal,
    });

  test.each<[string, Uint8Array]>([
    ['by an exporter', message([13, message([1, 'image'], ...entries(2, { name: 'x', push: 'true' }))])],
    ['by the old fields', message([3, 'image'], ...entries(4, { push: '' }))],
    ['by a cache', message([8, message([4, message([1, 'registry'], ...entries(2, { ref: 'x' }))])])],
  ])('may not push %s', async (_title, bytes) => {
    const verdict = await judged().message(inspected.controlSolve, bytes);
    expect(verdict).toMatchObject({ kind: 'deny', message: pushRefusal.text });
  });

  test('may build all the same', async () => {
    const bytes = message([13, message([1, 'moby'], ...entries(2, { push: 'false' }))]);
    expect(await judged().message(inspected.controlSolve, bytes)).toEqual({ kind: 'allow' });
  });
});

describe('what can’t be read for sure is refused', () => {
  test.each<[string, Uint8Array]>([
    ['a message that ends early', new Uint8Array([0x0a, 5, 1])],
    ['a group', new Uint8Array([0x0b, 0x0c])],
    ['a network that is a text', message([2, definition(execOperation([3, 'host']))])],
    ['a definition that is a number', message([2, 1])],
    ['a text that is not UTF-8', message([6, new Uint8Array([0xff])])],
    ['a frontend given twice', message([6, ''], [6, 'gateway.v0'])],
    ['a field number of zero', new Uint8Array([0x02, 0])],
  ])('%s', async (_title, bytes) => {
    expect(await judge(inspected.controlSolve, bytes)).toMatchObject({ kind: 'deny', status: 3 });
  });
});

describe('the gateway', () => {
  test('resolving an image that is not listed is refused', async () => {
    expect(await refusal(inspected.resolveImageConfig, message([1, 'evil.io/x']))).toContain('evil.io');
    const source = message([1, message([1, 'docker-image://evil.io/x'])], [4, 'default']);
    expect(await refusal(inspected.resolveSourceMeta, source)).toContain('evil.io');
    expect(await judge(inspected.resolveImageConfig, message([1, 'good.example/x']))).toEqual({
      kind: 'allow',
    });
  });

  test('a return of neither a result nor an error, which would end the engine, is refused', async () => {
    const returned = (bytes: Uint8Array) => judge(inspected.bridgeReturn, bytes, { settings: {} });
    expect(await returned(message())).toMatchObject({ kind: 'deny' });
    expect(await returned(message([1, 1]))).toMatchObject({ kind: 'deny' });
    expect(await returned(message([3, 'x']))).toMatchObject({ kind: 'deny' });
    expect(await returned(message([1, message()]))).toEqual({ kind: 'allow' });
    expect(await returned(message([2, message([1, 2])]))).toEqual({ kind: 'allow' });
  });

  test('cache imports are judged', async () => {
    const bytes = message([12, message([1, 'registry'], ...entries(2, { ref: 'evil.io/c' }))]);
    expect(await refusal(inspected.bridgeSolve, bytes)).toContain('evil.io');
  });

  test('--pull would ask the registries of local images', async () => {
    const judged = judgeOf({ local: ['base:latest'] });
    await judged.message(inspected.controlSolve, message([1, 'ref']));
    const inBuild = (bytes: Uint8Array) => judged.message(inspected.bridgeSolve, bytes, 'ref');
    const pull = message([2, 'dockerfile.v0'], ...entries(3, { 'image-resolve-mode': 'pull' }));
    expect(await inBuild(pull)).toMatchObject({
      kind: 'deny',
      setting: 'registryAccess.localImages',
    });
    const plain = message([2, 'dockerfile.v0']);
    const verdict = await inBuild(plain);
    if (verdict.kind !== 'replace') throw new Error(verdict.kind);
    expect(WireMessage.parse(verdict.message).textEntries(3)).toEqual([['image-resolve-mode', 'local']]);
  });

  test('a resolve may not bring a policy or a field that nobody knows', async () => {
    const own = message([1, 1]);
    for (const [path, bytes] of [
      [inspected.resolveImageConfig, message([1, 'good.example/x'], [8, own])],
      [inspected.resolveImageConfig, message([1, 'good.example/x'], [99, 'new'])],
      [inspected.resolveSourceMeta, message([1, message([1, 'docker-image://good.example/x'])], [8, own])],
    ] as const) {
      expect(await judge(path, bytes)).toMatchObject({ kind: 'deny', status: 3 });
      expect((await judge(path, bytes, { settings: {} })).kind).toBe('allow');
    }
  });
});

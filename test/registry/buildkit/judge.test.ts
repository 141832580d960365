import { describe, expect, test } from 'vitest';
import { buildkitJudge } from '../../../src/registry/buildkit/judge.js';
import { inspected } from '../../../src/registry/buildkit/methods.js';
import { settingsSchema } from '../../../src/settings/schema.js';
import { appended, judge, judgeOf, list, refusal } from './judging.js';
import { definition, entries, message, sourceOperation } from './messages.js';

describe('methods', () => {
  test.each([
    '/moby.buildkit.v1.Control/Unknown',
    '/moby.buildkit.v1.control/Solve',
    '/moby.buildkit.v1.Control/Solve/',
    '//moby.buildkit.v1.Control/Solve',
    '/containerd.services.content.v1.Content/Write',
    '/moby.filesync.v1.FileSync/DiffCopy',
    '',
  ])('%j is refused', (path) => {
    expect(judgeOf().method(path)).toMatchObject({ kind: 'deny', status: 12 });
  });

  test('what buildx needs passes or is read', () => {
    expect(judgeOf().method('/moby.buildkit.v1.Control/Status')).toBe('pass');
    expect(judgeOf().method('/moby.buildkit.v1.Control/Session')).toBe('pass');
    expect(judgeOf().method('/moby.buildkit.v1.frontend.LLBBridge/Ping')).toBe('pass');
    expect(judgeOf().method(inspected.controlSolve)).toBe('inspect');
    expect(judgeOf().method(inspected.bridgeSolve)).toBe('inspect');
  });
});

describe('a Solve while a list is on', () => {
  test('gets the policy behind the client’s own, and stays as it is otherwise', async () => {
    const clientPolicy = message([1, 1], [2, message([1, 0], [2, message([1, '^'], [2, 2])])]);
    const bytes = message(
      [1, 'ref'],
      [5, 'session'],
      [12, clientPolicy],
      [6, 'dockerfile.v0'],
      ...entries(7, { target: 'x' }),
    );
    const added = await appended(bytes);
    expect([...added.numbers()]).toEqual([12]);
    const policy = added.message(12);
    expect(policy?.number(1)).toBe(1);
    const rules = policy?.messages(2) ?? [];
    expect(rules[0]?.number(1)).toBe(1);
    expect(rules[0]?.message(2)?.text(1)).toMatch(/^\^\(\?:[0-9a-f]{33}\)\{0\}$/);
    for (const rule of rules) expect(rule.message(2)?.number(2)).toBe(2);
  });

  test('no two rules and no two builds have an identifier in common', async () => {
    const identifiers = async () =>
      ((await appended(message([1, 'ref']), { local: ['a:1', 'b:1'] })).message(12)?.messages(2) ?? []).map(
        (rule) => rule.message(2)?.text(1),
      );
    const both = [...(await identifiers()), ...(await identifiers())];
    expect(new Set(both).size).toBe(both.length);
  });

  test('local images that are not listed are allowed by name, and taken from the store first', async () => {
    const added = await appended(message([1, 'ref'], [6, 'dockerfile.v0']), {
      local: ['base:latest', 'good.example/x:1'],
    });
    expect(added.textEntries(7)).toEqual([['image-resolve-mode', 'local']]);
    const patterns = (added.message(12)?.messages(2) ?? []).map((rule) => rule.message(2)?.text(1) ?? '');
    const local = patterns.find((pattern) => pattern.includes('library/base'));
    const rules = added.message(12)?.messages(2) ?? [];
    const converted = rules.filter((rule) => rule.number(1) === 2).map((rule) => rule.message(3));
    expect(converted.map((update) => update?.text(1))).toEqual(['$0']);
    expect(converted[0]?.textEntries(2)).toEqual([['image.resolvemode', 'local']]);
    expect(local).toMatch(/^\^docker-image:\/\/docker\\\.io\/library\/base:latest\$\(/);
    expect(patterns.some((pattern) => pattern.includes('x:1'))).toBe(false);
  });

  test('with --pull no image is allowed because it is local', async () => {
    const bytes = message([1, 'ref'], ...entries(7, { 'image-resolve-mode': 'pull' }));
    const added = await appended(bytes, { local: ['base:latest'] });
    expect([...added.numbers()]).toEqual([12]);
    expect(
      JSON.stringify(
        added
          .message(12)
          ?.messages(2)
          .map((rule) => rule.message(2)?.text(1)),
      ),
    ).not.toContain('library/base');
  });

  test.each<[string, Uint8Array, string]>([
    [
      'a cache export',
      message([8, message([4, message([1, 'registry'], ...entries(2, { ref: 'evil.io/c' }))])]),
      'evil.io',
    ],
    [
      'a cache export to a registry for pulls',
      message([8, message([4, message([1, 'registry'], ...entries(2, { ref: 'pull.example/c' }))])]),
      'push',
    ],
    [
      'a cache import',
      message([8, message([5, message([1, 'registry'], ...entries(2, { ref: 'evil.io/c' }))])]),
      'evil.io',
    ],
    ['an old cache export', message([8, message([1, 'evil.io/c'])]), 'evil.io'],
    ['an old cache import', message([8, message([2, 'evil.io/c'])]), 'evil.io'],
    [
      'another cache service',
      message([8, message([4, message([1, 's3'], ...entries(2, { endpoint_url: 'http://evil.io' }))])]),
      '"s3"',
    ],
    ['cache-from', message(...entries(7, { 'cache-from': 'good.example/c,evil.io/c' })), 'evil.io'],
    [
      'cache-imports',
      message(...entries(7, { 'cache-imports': '[{"Type":"registry","Attrs":{"ref":"evil.io/c"}}]' })),
      'evil.io',
    ],
    [
      'cache-imports in another case',
      message(...entries(7, { 'cache-imports': '[{"type":"registry","attrs":{"ref":"evil.io/c"}}]' })),
      'cache-imports',
    ],
    ['a scanner', message(...entries(7, { 'attest:sbom': 'generator=evil.io/scan' })), 'evil.io'],
    [
      'a scanner by a build argument',
      message(...entries(7, { 'build-arg:BUILDKIT_ATTEST_SBOM': '"generator=evil.io/scan",x=y' })),
      'evil.io',
    ],
    ['a gateway frontend', message([6, 'gateway.v0'], ...entries(7, { source: 'evil.io/f' })), 'evil.io'],
    [
      'a frontend by a build argument',
      message([6, 'dockerfile.v0'], ...entries(7, { 'build-arg:BUILDKIT_SYNTAX': ' evil.io/f --flag' })),
      'evil.io',
    ],
    [
      'a pushing exporter',
      message([13, message([1, 'image'], ...entries(2, { name: 'evil.io/x', push: 'true' }))]),
      'evil.io',
    ],
    [
      'an exporter that pushes by an empty value',
      message([13, message([1, 'image'], ...entries(2, { name: 'evil.io/x', push: '' }))]),
      'evil.io',
    ],
    [
      'the second of two names',
      message([13, message([1, 'image'], ...entries(2, { name: 'good.example/x,evil.io/x', push: 'true' }))]),
      'evil.io',
    ],
    [
      'a name that the frontend chooses',
      message([13, message([1, 'image'], ...entries(2, { name: '*', push: 'true' }))]),
      'must say the name',
    ],
    [
      'a push given twice',
      message([
        13,
        message(
          [1, 'image'],
          ...entries(2, { name: 'evil.io/x' }),
          [2, message([1, 'push'], [2, 'false'])],
          [2, message([1, 'push'], [2, 'true'])],
        ),
      ]),
      'evil.io',
    ],
    [
      'the old exporter fields',
      message([3, 'image'], ...entries(4, { name: 'evil.io/x', push: '1' })),
      'evil.io',
    ],
    ['an unknown exporter', message([13, message([1, 'upload'])]), '"upload"'],
    ['an unknown frontend', message([6, 'evil.v0']), '"evil.v0"'],
    ['an unknown field', message([15, 'session']), 'field 15'],
    ['a raw source', message([2, definition(sourceOperation('docker-image://evil.io/x:1'))]), 'evil.io'],
    [
      'a raw address',
      message([2, definition(sourceOperation('http://169.254.169.254/'))]),
      '169.254.169.254',
    ],
    [
      'a raw source in an input',
      message([10, message([1, 'context'], [2, definition(sourceOperation('docker-image://evil.io/x'))])]),
      'evil.io',
    ],
    [
      'a raw source in a build operation',
      message([
        2,
        definition(message([5, message([3, definition(sourceOperation('docker-image://evil.io/x'))])])),
      ]),
      'evil.io',
    ],
    ['an unknown operation', message([2, definition(message([9, message()]))]), 'field 9'],
  ])('%s is refused', async (_title, bytes, words) => {
    expect(await refusal(inspected.controlSolve, bytes)).toContain(words);
  });

  test('an exporter that keeps the image here may have any name', async () => {
    const bytes = message([13, message([1, 'moby'], ...entries(2, { name: 'evil.io/x', push: 'false' }))]);
    expect((await judge(inspected.controlSolve, bytes)).kind).toBe('replace');
  });

  test.each(['20.10.24', '23.0.6', '', 'dev'])('the engine %j is too old for it', async (engineVersion) => {
    expect(await refusal(inspected.controlSolve, message([1, 'ref']), { engineVersion })).toContain(
      'older than 24.0',
    );
  });

  test('everything wrong is said at once', async () => {
    const bytes = message(
      [9, 'network.host'],
      [13, message([1, 'image'], ...entries(2, { name: 'evil.io/x', push: 'true' }))],
    );
    const text = await refusal(inspected.controlSolve, bytes);
    expect(text).toContain('network.host');
    expect(text).toContain('evil.io');
  });
});

test('what the engine refuses by the policy is told once for each connection', async () => {
  const judged = judgeOf();
  await judged.message(inspected.controlSolve, message([1, 'ref']));
  const fields = ['grpc-message', encodeURIComponent('source "docker-image://evil.io/x" denied by policy')];
  expect(judged.status?.(fields).refusal).toMatchObject({
    setting: 'registryAccess.registries',
    message: expect.stringContaining('registry access to evil.io'),
  });
  expect(judged.status?.(fields).refusal).toBeUndefined();
  expect(judged.status?.(['grpc-message', 'other']).refusal).toBeUndefined();
  expect(judgeOf({ settings: {} }).status?.(fields)).toEqual({ rawHeaders: fields });
});

describe('builds side by side', () => {
  const settingsOf = (current: { settings: unknown }) =>
    buildkitJudge({
      settings: () => settingsSchema.parse(current.settings),
      engineVersion: '28.5.2',
      localImages: async () => ['base:latest'],
    });
  const solve = (ref: string, mode = '') =>
    message(
      [1, ref],
      [6, 'dockerfile.v0'],
      ...(mode === '' ? [] : entries(7, { 'image-resolve-mode': mode })),
    );
  const fetching = message([1, definition(sourceOperation('docker-image://evil.example/x:1'))]);
  const plain = message([2, 'dockerfile.v0']);
  const pulling = message([2, 'dockerfile.v0'], ...entries(3, { 'image-resolve-mode': 'pull' }));

  test('each keeps the settings under which it began', async () => {
    const current: { settings: unknown } = { settings: {} };
    const judged = settingsOf(current);
    expect((await judged.message(inspected.controlSolve, solve('open'))).kind).toBe('allow');
    current.settings = list;
    expect((await judged.message(inspected.controlSolve, solve('listed'))).kind).toBe('replace');
    expect((await judged.message(inspected.bridgeSolve, fetching, 'open')).kind).toBe('allow');
    expect((await judged.message(inspected.bridgeSolve, fetching, 'listed')).kind).toBe('deny');
    current.settings = {};
    expect((await judged.message(inspected.controlSolve, solve('last'))).kind).toBe('allow');
    expect((await judged.message(inspected.bridgeSolve, fetching, 'listed')).kind).toBe('deny');
  });

  test('each has local images or --pull for itself', async () => {
    const judged = settingsOf({ settings: list });
    await judged.message(inspected.controlSolve, solve('local'));
    await judged.message(inspected.controlSolve, solve('pull', 'pull'));
    expect((await judged.message(inspected.bridgeSolve, plain, 'local')).kind).toBe('replace');
    expect((await judged.message(inspected.bridgeSolve, pulling, 'local')).kind).toBe('deny');
    expect((await judged.message(inspected.bridgeSolve, pulling, 'pull')).kind).toBe('allow');
  });

  test('a ref that is given again loses nothing of what its build must not do', async () => {
    const judged = settingsOf({ settings: list });
    await judged.message(inspected.controlSolve, solve('ref'));
    await judged.message(inspected.controlSolve, solve('ref', 'pull'));
    expect((await judged.message(inspected.bridgeSolve, pulling, 'ref')).kind).toBe('deny');
  });

  test('of a thousand the first is forgotten, and held to the settings in force', async () => {
    const current: { settings: unknown } = { settings: {} };
    const judged = settingsOf(current);
    await judged.message(inspected.controlSolve, solve('first'));
    await judged.message(inspected.controlSolve, solve('second'));
    for (let count = 2; count <= 1000; count += 1)
      await judged.message(inspected.controlSolve, solve(`build ${count}`));
    current.settings = list;
    expect((await judged.message(inspected.bridgeSolve, fetching, 'first')).kind).toBe('deny');
    expect((await judged.message(inspected.bridgeSolve, fetching, 'second')).kind).toBe('allow');
  });

  test('a build that began over another connection has no less', async () => {
    const judged = settingsOf({ settings: list });
    expect((await judged.message(inspected.bridgeSolve, plain, 'elsewhere')).kind).toBe('replace');
    expect((await judged.message(inspected.bridgeSolve, pulling, 'elsewhere')).kind).toBe('deny');
    expect((await judged.message(inspected.bridgeSolve, fetching, 'elsewhere')).kind).toBe('deny');
  });
});

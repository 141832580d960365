/** What a service's rollback is judged as, and what of it the engine gets. */
import { describe, expect, test } from 'vitest';
import { evaluate, judgeBy, lookUp } from '../../src/rules/evaluate.js';
import { rules } from '../../src/rules/index.js';
import type { Rule } from '../../src/rules/rule.js';
import { inForce, isRollback } from '../../src/rules/service-rollback.js';
import { factsOf, fixtureSchema, requestOf } from './fixture.js';

const sent = { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'alpine:2' } } };
const kept = { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'alpine:1' } } };

function fixture(changes: object) {
  return fixtureSchema.parse({
    title: 'a rollback',
    route: 'service.update',
    params: { id: 'web' },
    query: { version: ['7'], rollback: ['previous'] },
    body: sent,
    services: { web: { id: 'idofweb', version: 7, previous: kept } },
    ...changes,
  });
}

function effect(changes: object = {}) {
  const given = fixture(changes);
  return inForce(requestOf(given), async (needs) => factsOf(given, needs, 'error'));
}

/** The fields that the rules refuse. */
async function refused(previous: object, changes: object = {}): Promise<readonly string[]> {
  const given = fixture({ services: { web: { id: 'idofweb', version: 7, previous } }, ...changes });
  const found = await inForce(requestOf(given), async (needs) => factsOf(given, needs, 'error'));
  if (found.kind === 'refuse') return found.denials.map(({ field }) => field);
  const { request } = found;
  const facts = await lookUp(rules, request, async (needs) => factsOf(given, needs, 'unknown'));
  return evaluate(rules, request, facts).denials.map(({ field }) => field);
}

test('the specification that comes back takes the body’s place, and the service goes by its id', async () => {
  const found = await effect();
  if (found.kind !== 'judge') throw new Error(found.kind);
  expect(found.request.body).toEqual(kept);
  expect(found.request.params).toEqual({ id: 'idofweb' });
  expect(found.request.query.get('version')).toEqual(['7']);
  expect(found.request.query.get('rollback')).toEqual(['previous']);
});

test('other updates stay as they are, and nothing is asked for', async () => {
  for (const query of [{ version: ['7'] }, { version: ['7'], rollback: ['none'] }]) {
    const given = fixture({ query });
    const request = requestOf(given);
    const found = await inForce(request, () => Promise.reject(new Error('asked')));
    expect(found).toEqual({ kind: 'judge', request });
    expect(isRollback(request)).toBe(false);
  }
});

describe('what was looked up is what comes into force, or nothing', () => {
  test.each(['6', '8', '18446744073709551616'])('version %s is refused', async (version) => {
    const found = await effect({ query: { version: [version], rollback: ['previous'] } });
    expect(found).toMatchObject({
      kind: 'refuse',
      denials: [
        { status: 500, field: 'query:version', text: expect.stringContaining('update out of sequence') },
      ],
    });
  });

  test('what is no version is left to the engine, which refuses it', async () => {
    const found = await effect({ query: { version: ['x7'], rollback: ['previous'] } });
    expect(found).toMatchObject({ kind: 'judge', request: { body: kept } });
  });

  test('a service that isn’t there, and one that has nothing to go back to', async () => {
    expect(await effect({ services: {} })).toMatchObject({ kind: 'missing', service: 'web' });
    const found = await effect({ services: { web: { id: 'idofweb', version: 7 } } });
    expect(found).toMatchObject({ kind: 'judge', request: { params: { id: 'idofweb' }, body: sent } });
    const early = await effect({
      query: { version: ['8'], rollback: ['previous'] },
      services: { web: { id: 'idofweb', version: 7 } },
    });
    if (early.kind !== 'judge') throw new Error(early.kind);
    expect(early.request.query.get('version')).toEqual(['7']);
  });

  test('a specification with fields that nobody here knows', async () => {
    const found = await effect({
      services: { web: { id: 'idofweb', version: 7, previous: { ...kept, Future: { Host: true } } } },
    });
    expect(found).toMatchObject({ kind: 'refuse', denials: [{ field: 'query:rollback' }] });
  });
});

describe('every rule judges what comes back', () => {
  const withTask = (task: object) => ({ Name: 'web', TaskTemplate: task });
  const spec = (more: object) => withTask({ ContainerSpec: { Image: 'alpine', ...more } });

  test('a harmless one passes', async () => {
    expect(await refused(kept)).toEqual([]);
  });

  test('host folders, the host’s network, switches, plugins, negative scores', async () => {
    expect(await refused(spec({ Mounts: [{ Type: 'bind', Source: '/', Target: '/h' }] }))).toContain(
      '/TaskTemplate/ContainerSpec/Mounts/0',
    );
    expect(
      await refused(withTask({ ContainerSpec: { Image: 'alpine' }, Networks: [{ Target: 'host' }] })),
    ).toEqual(['/TaskTemplate/Networks/0/Target']);
    expect(await refused(spec({ Env: ['SYSBOX_HONOR_CAPS=TRUE'] }))).toEqual([
      '/TaskTemplate/ContainerSpec/Env/0',
    ]);
    expect(await refused(withTask({ Runtime: 'plugin', PluginSpec: { name: 'p', remote: 'r' } }))).toEqual([
      '/TaskTemplate/Runtime',
      '/TaskTemplate/PluginSpec',
    ]);
    expect(await refused(spec({ OomScoreAdj: -5 }))).toEqual(['/TaskTemplate/ContainerSpec/OomScoreAdj']);
  });

  test('an image of a registry that is not listed, with isolation off as well', async () => {
    const settings = {
      enhancedContainerIsolation: { value: false },
      registryAccess: { value: true, registries: [{ address: 'registry.example' }] },
    };
    expect(await refused(spec({ Image: 'evil.io/x' }), { settings })).toEqual([
      '/TaskTemplate/ContainerSpec/Image',
    ]);
  });

  test('what a rule would change is refused: the engine would take its own all the same', async () => {
    const changing: Rule = {
      id: 'changing',
      summary: '',
      setting: 'none',
      whenIsolationIsOff: 'judges',
      routes: ['service.update'],
      judge: () => [{ kind: 'set', rule: 'changing', field: '/Name', value: 'x', reason: 'so' }],
    };
    const given = fixture({});
    const facts = factsOf(given, [], 'error');
    expect(judgeBy(changing, requestOf(given), facts)).toMatchObject([
      { kind: 'deny', field: 'query:rollback' },
    ]);
    const update = fixture({ query: { version: ['7'] } });
    expect(judgeBy(changing, requestOf(update), facts)).toMatchObject([{ kind: 'set' }]);
  });
});

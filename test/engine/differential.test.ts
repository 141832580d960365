/**
 * Every endpoint, directly and through the proxy: status, headers, trailers, bodies and errors are the same.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareApiVersions, findRoute, type Route, routes } from '../../src/engine/routes.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, type EngineVersion, importBusybox } from '../support/engines.js';
import { scenarios } from './differential-scenarios.js';
import { type Call, Transcript } from './transcript.js';

const newest: Readonly<Record<EngineVersion, string>> = { '20.10': '1.41', '26.1': '1.45', '28.5': '1.51' };

/** `''` is a bare path. */
function versionsOf(engine: EngineVersion): readonly string[] {
  const last = Number(newest[engine].split('.')[1]);
  return ['', ...Array.from({ length: last - 23 }, (_, index) => `1.${24 + index}`)];
}

/** Every endpoint that a bare path led to, on any engine. */
const covered = new Set<string>();

function noteCovered(transcript: Transcript): void {
  for (const { call } of transcript.entries) {
    const [method = '', path = ''] = call.split(' ');
    const found = findRoute(method, path);
    if ('route' in found) covered.add(found.route.name);
  }
}

/** What would dial out before it looks at anything, or ends with an answer of a later engine. */
const notWithoutNetwork = new Set([
  'system.auth',
  'image.search',
  'plugin.privileges',
  'plugin.pull',
  'plugin.upgrade',
]);
/** These change the whole engine: the scenarios do it, once. */
const notForNothing = new Set(['swarm.init', 'swarm.join', 'swarm.leave']);

/** What a request needs to be whole: with two mistakes in it, which one is told first is a matter of the door. */
const complete: Readonly<Record<string, Call>> = {
  'exec.create': { body: { Cmd: ['true'] } },
  'container.rename': { query: { name: 'new' } },
  'container.archive-info': { query: { path: '/' } },
  'container.archive-get': { query: { path: '/' } },
  'container.archive-put': { query: { path: '/' } },
  // The engine lists networks in no order.
  'network.list': { reduce: (body) => body.length },
};

/** A request for an object that isn't there. */
function requestForNothing(route: Route): { path: string; call: Call } {
  const path = route.path.replace(/\{\w+\}/g, 'nothing');
  const whole = complete[route.name];
  if (whole !== undefined) return { path, call: whole };
  return { path, call: route.body === 'json' ? { body: route.name.startsWith('plugin.') ? [] : {} } : {} };
}

const withObject = routes.filter(
  (route) =>
    (route.object !== undefined || route.name.includes('.list')) &&
    !notWithoutNetwork.has(route.name) &&
    !notForNothing.has(route.name),
);

describe.each(['20.10', '26.1', '28.5'] as const)('engine %s', (version) => {
  let engine: Engine;
  let cofferdam: Cofferdam;

  beforeAll(async () => {
    engine = await startIsolatingEngine({ version, network: true });
    cofferdam = await startCofferdam({ engine });
    await importBusybox(engine.cli);
  });
  afterAll(async () => {
    await cofferdam?.close();
    await engine?.stop();
  });

  /** Both transcripts of the same work, ours second. */
  async function bothSides(apiVersion: string, run: (side: Transcript) => Promise<void>) {
    const direct = new Transcript(engine.socket, apiVersion);
    await run(direct);
    const through = new Transcript(cofferdam.socket, apiVersion);
    await run(through);
    if (apiVersion === '') noteCovered(through);
    return { direct: direct.entries, through: through.entries };
  }

  test.each(versionsOf(version))('asks API %s for what isn’t there', async (apiVersion) => {
    const { direct, through } = await bothSides(apiVersion, async (side) => {
      for (const route of withObject) {
        const { path, call } = requestForNothing(route);
        await side.call(route.method, path, call);
      }
      await side.call('GET', '/no/such/endpoint');
      await side.call('PUT', '/containers/json');
    });
    expect(through).toEqual(direct);
    expect(direct.length).toBe(withObject.length + 2);
  });

  const versions = ['', '1.24', '1.40', newest[version]];
  describe.each(versions)('API %s', (apiVersion) => {
    const fitting = scenarios.filter(
      ({ since }) => since === undefined || apiVersion === '' || compareApiVersions(apiVersion, since) >= 0,
    );
    test.each(fitting.map((scenario) => [scenario.title, scenario] as const))(
      '%s',
      async (_title, scenario) => {
        const { direct, through } = await bothSides(apiVersion, scenario.run);
        expect(through).toEqual(direct);
        expect(direct.length).toBeGreaterThan(3);
      },
    );
  });

  test('API versions that it lacks', async () => {
    for (const apiVersion of ['1.23', '1.99', '2.0']) {
      const { direct, through } = await bothSides(apiVersion, async (side) => {
        await side.call('GET', '/info', { reduce: (body) => body.trim() });
      });
      // Below 1.24 dockerd answers in plain text, or, where it still serves them, at all; here nobody gets them.
      if (apiVersion === '1.23')
        expect(through[0]).toMatchObject({ status: 400, body: expect.stringContaining('too old') });
      else
        expect(through.map(({ status, body }) => [status, body])).toEqual(
          direct.map(({ status, body }) => [status, body]),
        );
    }
  });
});

test('no endpoint was left out', () => {
  expect(routes.map((route) => route.name).filter((name) => !covered.has(name))).toEqual([]);
});

/** Objects that the engine gets by their full ids: what was judged is what it works on. */
import { expect, test } from 'vitest';
import { lookUp } from '../../src/rules/evaluate.js';
import { rules } from '../../src/rules/index.js';
import { nameInFull } from '../../src/rules/named-objects.js';
import { factsOf, fixtureSchema, requestOf } from './fixture.js';

async function named(changes: object) {
  const fixture = fixtureSchema.parse({
    title: 'a request',
    containers: { web: { id: 'idofweb' } },
    networks: { net: { driver: 'bridge' } },
    ...changes,
  });
  const request = requestOf(fixture);
  const facts = await lookUp(rules, request, async (needs) => factsOf(fixture, needs, 'unknown'));
  return nameInFull(request, request, facts).request;
}

test.each(['network.connect', 'network.disconnect'])('%s: the network and the container', async (route) => {
  const request = await named({ route, params: { id: 'net' }, body: { Container: 'web' } });
  expect(request.body).toEqual({ Container: 'idofweb' });
});

test('a container that isn’t there stays as the client named it', async () => {
  const body = { Container: 'gone', Force: true };
  const request = await named({ route: 'network.disconnect', params: { id: 'net' }, body });
  expect(request.body).toEqual(body);
});

test('a commit’s container', async () => {
  const request = await named({ route: 'image.commit', query: { container: ['web'], repo: ['x'] } });
  expect(request.query.get('container')).toEqual(['idofweb']);
});

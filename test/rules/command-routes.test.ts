import { expect, test } from 'vitest';
import { routes } from '../../src/engine/routes.js';
import { commandCovers, isKnownCommand, openRoutes } from '../../src/rules/command-routes.js';

const groups =
  'container* image* volume* network* build* system* plugin swarm node service secret config login search'.split(
    ' ',
  );

test.each(routes.map(({ name }) => name))('%s is open, or belongs to a command', (route) => {
  const covered = groups.some((name) => commandCovers(name, { route, imports: false }));
  expect(covered || openRoutes.has(route)).toBe(true);
});

test.each([
  ['push', 'image.push', true],
  ['PUSH ', 'image.push', true],
  ['image*', 'image.push', true],
  ['images', 'image.push', false],
  ['images', 'image.list', true],
  ['image', 'image.list', true],
  ['volume', 'volume.prune', true],
  ['volumes', 'volume.list', true],
  ['cp', 'container.archive-put', true],
  ['exec', 'exec.start', true],
  ['container*', 'image.commit', true],
  ['image*', 'image.commit', false],
  ['run', 'container.create', true],
  ['run', 'container.inspect', true],
  ['ps', 'container.inspect', false],
  ['rm', 'container.delete', true],
  ['rmi', 'container.delete', false],
  ['unknown', 'container.list', false],
  ['*', 'container.list', false],
])('%s and %s', (name, route, expected) => {
  expect(commandCovers(name, { route, imports: false })).toBe(expected);
});

test('denying `run` denies making and starting containers, and nothing else', () => {
  const denied = routes
    .map(({ name }) => name)
    .filter((route) => commandCovers('run', { route, imports: false }, 'deny'));
  expect(denied.sort()).toEqual(['container.create', 'container.start']);
});

test('names that mean nothing can be told', () => {
  expect(isKnownCommand('push')).toBe(true);
  expect(isKnownCommand('network*')).toBe(true);
  expect(isKnownCommand('compose')).toBe(false);
});

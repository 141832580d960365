/** Binds as the engine gets them: among `Mounts`, where it never makes a source by itself. */
import { describe, expect, test } from 'vitest';
import { lookUp } from '../../src/rules/evaluate.js';
import { rules } from '../../src/rules/index.js';
import { withPinnedBinds } from '../../src/rules/pinned-binds.js';
import { factsOf, fixtureSchema, requestOf } from './fixture.js';

/** The host part of a create, as it goes to the engine. */
async function pinned(hostConfig: object, settings: object = {}): Promise<unknown> {
  const fixture = fixtureSchema.parse({
    title: 'a create',
    settings,
    body: { Image: 'busybox', HostConfig: hostConfig },
    volumes: { data: {}, bound: { options: { type: 'none', o: 'bind', device: '/srv/bound' } } },
    containers: {
      giver: {
        mounts: [
          { type: 'bind', source: '/srv/given', destination: '/given' },
          { type: 'bind', source: '/srv/replaced', destination: '/own' },
          { type: 'volume', name: 'bound', source: '/var/lib/docker/volumes/bound/_data', destination: '/b' },
        ],
      },
    },
  });
  const request = requestOf(fixture);
  const facts = await lookUp(rules, request, async (needs) => factsOf(fixture, needs, 'unknown'));
  const { body } = withPinnedBinds(request, facts);
  return body?.['HostConfig'];
}

describe('binds become mounts', () => {
  test('with their manner, and volumes stay where they are', async () => {
    expect(await pinned({ Binds: ['/srv/a/:/a', 'data:/d', '/srv/b:/b:ro,rslave', '/srv/c:/c:z'] })).toEqual({
      Binds: ['data:/d'],
      Mounts: [
        { Type: 'bind', Source: '/srv/a', Target: '/a' },
        {
          Type: 'bind',
          Source: '/srv/b',
          Target: '/b',
          ReadOnly: true,
          BindOptions: { Propagation: 'rslave' },
        },
        { Type: 'bind', Source: '/srv/c', Target: '/c' },
      ],
    });
  });

  test('behind the request’s own, none of which makes its source', async () => {
    const own = { Type: 'bind', Source: '/srv/m', Target: '/m' };
    const making = { ...own, BindOptions: { CreateMountpoint: true, Propagation: 'rslave' } };
    expect(await pinned({ Binds: ['/srv/a:/a'], Mounts: [making] })).toEqual({
      Binds: null,
      Mounts: [
        { ...own, BindOptions: { Propagation: 'rslave' } },
        { Type: 'bind', Source: '/srv/a', Target: '/a' },
      ],
    });
  });

  test('those of other containers as well, but for what the request mounts there itself', async () => {
    expect(await pinned({ VolumesFrom: ['giver:ro'], Mounts: [{ Type: 'tmpfs', Target: '/own' }] })).toEqual({
      VolumesFrom: ['giver:ro'],
      Binds: null,
      Mounts: [
        { Type: 'tmpfs', Target: '/own' },
        { Type: 'bind', Source: '/srv/given', Target: '/given', ReadOnly: true },
      ],
    });
  });
});

test('what has no host path in it stays to the letter, and so does everything while isolation is off', async () => {
  const plain = { Binds: ['data:/d'], Mounts: [{ Type: 'tmpfs', Target: '/t' }] };
  expect(await pinned(plain)).toEqual(plain);
  const bind = { Binds: ['/srv/a:/a'] };
  const off = { configurationFileVersion: 2, enhancedContainerIsolation: { value: false } };
  expect(await pinned(bind, off)).toEqual(bind);
});

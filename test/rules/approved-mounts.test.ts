import { describe, expect, test } from 'vitest';
import { approvedMounts, missingSources } from '../../src/rules/approved-mounts.js';
import { apply, evaluate, lookUp } from '../../src/rules/evaluate.js';
import { rules } from '../../src/rules/index.js';
import { nameInFull } from '../../src/rules/named-objects.js';
import type { Facts, JudgedRequest } from '../../src/rules/rule.js';
import { factsOf, fixtureSchema, requestOf } from './fixture.js';

const work = {
  real: '/srv/work',
  device: '2049',
  inode: '77',
  type: 'directory',
  ownerUid: 1000,
  ownerGid: 1000,
};
const engine = {
  version: '28.5.2',
  apiVersion: '1.51',
  cgroupVersion: '1',
  dataRoot: '/var/lib/docker',
  preparation: { runtime: true, defaultRuntime: true, builds: true },
};

/** What is sent and known after the whole way through the rules, as the proxy goes it. */
async function allowed(fixture: object): Promise<{ request: JudgedRequest; facts: Facts }> {
  const parsed = fixtureSchema.parse({ title: 'a create', engine, ...fixture });
  const request = requestOf(parsed);
  const facts = await lookUp(rules, request, async (needs) => factsOf(parsed, needs, 'unknown'));
  const verdict = evaluate(rules, request, facts);
  expect(verdict.denials).toEqual([]);
  return nameInFull(request, apply(request, verdict.sets), facts);
}

describe('the approvals of a create', () => {
  test('cover every way in: binds, mounts, bound volumes, inline ones and those of other containers', async () => {
    const bound = { options: { type: 'none', o: 'bind,ro', device: '/home/dev/work' } };
    const { request, facts } = await allowed({
      body: {
        Image: 'busybox',
        HostConfig: {
          Binds: ['/home/dev/work:/a:ro', 'bound:/b', 'plain:/p'],
          Mounts: [
            { Type: 'bind', Source: '/home/dev/work', Target: '/c/' },
            {
              Type: 'volume',
              Source: 'new',
              Target: '/d',
              VolumeOptions: {
                DriverConfig: { Options: { type: 'none', o: 'rbind', device: '/home/dev/work' } },
              },
            },
          ],
          VolumesFrom: ['tool:ro', 'other'],
        },
      },
      images: { busybox: { id: 'sha256:b' } },
      volumes: { bound, plain: {} },
      containers: {
        tool: {
          mounts: [
            { type: 'bind', source: '/home/dev/work', destination: '/e' },
            { type: 'volume', name: 'bound', source: '/x', destination: '/f' },
          ],
        },
        other: { mounts: [{ type: 'bind', source: '/home/dev/work', destination: '/a', writable: true }] },
      },
      paths: { '/home/dev/work': work },
    });
    const common = { source: '/srv/work', device: '2049', inode: '77' };
    const rights = { mapping: 'caller', ownerUid: 1000, ownerGid: 1000 };
    const approved = approvedMounts(request, facts);
    expect(approved.toSorted((left, right) => (left.destination < right.destination ? -1 : 1))).toEqual([
      { ...common, ...rights, destination: '/a', readOnly: true },
      { ...common, ...rights, destination: '/b', readOnly: true },
      { ...common, ...rights, destination: '/c', readOnly: false },
      { ...common, ...rights, destination: '/d', readOnly: false },
      { ...common, ...rights, destination: '/e', readOnly: true },
      { ...common, ...rights, destination: '/f', readOnly: true },
    ]);
  });

  test('say as which user the caller’s files appear', async () => {
    const create = (user: string, imageUser = '') => ({
      body: { Image: 'busybox', User: user, HostConfig: { Binds: ['/home/dev/work:/a'] } },
      images: { busybox: { id: 'sha256:b', user: imageUser } },
      paths: { '/home/dev/work': work },
    });
    const inside = async (user: string, imageUser?: string) => {
      const { request, facts } = await allowed(create(user, imageUser));
      const { containerUid, containerGid } = approvedMounts(request, facts)[0] ?? {};
      return [containerUid, containerGid];
    };
    expect(await inside('')).toEqual([undefined, undefined]);
    expect(await inside('1000:1000')).toEqual([1000, 1000]);
    expect(await inside('1000')).toEqual([1000, undefined]);
    expect(await inside('', '1000:1000')).toEqual([1000, 1000]);
    expect(await inside('999', '1000:1000')).toEqual([undefined, undefined]);
  });

  test('of root callers carry the rights of the owner, or the ids as they are', async () => {
    const create = (rootCallers: string) => ({
      caller: { uid: 0, gid: 0, pid: 1, groups: [0] },
      settings: { hostFiles: { rootCallers } },
      body: { Image: 'busybox', HostConfig: { Binds: ['/home/dev/work:/a'] } },
      images: { busybox: { id: 'sha256:b' } },
      paths: { '/home/dev/work': { ...work, ownerUid: 1234, ownerGid: 5678 } },
    });
    const owner = await allowed(create('owner'));
    expect(approvedMounts(owner.request, owner.facts)).toMatchObject([
      { mapping: 'caller', ownerUid: 1234, ownerGid: 5678 },
    ]);
    const identity = await allowed(create('identity'));
    expect(approvedMounts(identity.request, identity.facts)).toMatchObject([{ mapping: 'identity' }]);
  });

  test('leave out sources that are still to be made', async () => {
    const { request, facts } = await allowed({
      body: { Image: 'busybox', HostConfig: { Binds: ['/home/dev/new:/a', '/home/dev/new:/b'] } },
      images: { busybox: { id: 'sha256:b' } },
      paths: { '/home/dev/new': {} },
    });
    expect(missingSources(request, facts)).toEqual(['/home/dev/new']);
    expect(approvedMounts(request, facts)).toEqual([]);
  });
});

describe('an allowed request', () => {
  test('names the container of its path and of a commit by the full id', async () => {
    const start = await allowed({
      route: 'container.start',
      params: { id: 'web' },
      containers: { web: { id: 'f'.repeat(64) } },
    });
    expect(start.request.params).toEqual({ id: 'f'.repeat(64) });
    const commit = await allowed({
      route: 'image.commit',
      query: { container: ['web'], repo: ['x'] },
      containers: { web: { id: 'f'.repeat(64) } },
    });
    expect(commit.request.query.get('container')).toEqual(['f'.repeat(64)]);
  });
});

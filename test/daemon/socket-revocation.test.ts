/** What becomes of the connections of containers that hold a Docker socket when the settings change. */
import { expect, test } from 'vitest';
import { SocketRevocation } from '../../src/daemon/socket-revocation.js';
import type { SocketImageFacts } from '../../src/engine/fact-types.js';
import { routes } from '../../src/engine/routes.js';
import type { JudgedRequest } from '../../src/rules/rule.js';
import { type Settings, settingsSchema } from '../../src/settings/schema.js';
import type { SettingsListener } from '../../src/settings/watch.js';
import type { ContainerRecord } from '../../src/uid-allocator/record.js';

function settingsWith(deny: readonly string[]): Settings {
  return settingsSchema.parse({
    enhancedContainerIsolation: { dockerSocketMount: { commandList: { type: 'deny', commands: deny } } },
  });
}

/** Requests that each holder has under way, by route. */
const underWay = ['system.events', 'container.logs', 'build.grpc'];

function requestOf(name: string): JudgedRequest {
  const route = routes.find((one) => one.name === name);
  if (route === undefined) throw new Error(`no route ${name}`);
  return {
    ...{ route, params: {}, query: new Map(), headers: new Map(), apiVersion: '1.47' },
    caller: { uid: 1000, gid: 1000, pid: 1, groups: [], container: 'holder' },
    engine: { version: '28.5.2', apiVersion: '1.51', cgroupVersion: '2', dataRoot: '/var/lib/docker' },
    settings: settingsWith([]),
  };
}

function holder(id: string, socketGrant: boolean): ContainerRecord {
  const range = { base: 100_000, size: 65_536 };
  return { version: 1, id, range, mounts: [], socketGrant, createdAt: 0, token: 't' };
}

/** Changes the settings; gives the routes whose connections are ended, by container, and what is written down. */
async function change(
  deny: readonly string[],
  image: () => Promise<Partial<SocketImageFacts> | undefined>,
): Promise<{ ended: Readonly<Record<string, readonly string[]>>; events: readonly string[] }> {
  const ended: Record<string, string[]> = {};
  const events: string[] = [];
  let told: SettingsListener = () => undefined;
  const current = settingsWith(deny);
  const revocation = new SocketRevocation({
    settings: {
      current,
      generation: 2,
      onChange: (listener) => {
        told = listener;
        return () => undefined;
      },
    },
    records: () => [holder('holder', true), holder('other', false)],
    imageOf: async () => {
      const found = await image();
      return (
        found && {
          imageId: 'sha256:x',
          allowed: true,
          socket: { path: '/s', device: '1', inode: '2' },
          ...found,
        }
      );
    },
    disconnect: (id, which) => {
      ended[id] = underWay.filter((name) => which === undefined || which(requestOf(name)));
    },
    audit: { record: ({ event }) => events.push(event) },
    log: { error: () => events.push('error') },
  });
  told(current, []);
  await new Promise((resolve) => setImmediate(resolve));
  revocation.close();
  return { ended, events };
}

test.each<[string, readonly string[], readonly string[]]>([
  ['nothing is blocked', [], []],
  ['events are', ['events'], ['system.events']],
  ['pushes are: a build that began before could still push', ['push'], ['build.grpc']],
  ['containers are', ['container*'], ['container.logs']],
])('of an allowed image, where %s', async (_title, deny, expected) => {
  const { ended, events } = await change(deny, async () => ({}));
  expect(ended).toEqual({ holder: expected });
  expect(events).toEqual([]);
});

test('of an image that is off the list: all of them end, and it is written down', async () => {
  const { ended, events } = await change([], async () => ({ allowed: false }));
  expect(ended).toEqual({ holder: underWay });
  expect(events).toEqual(['socket.revoked']);
});

test('of an image that is gone: all of them end', async () => {
  expect((await change([], async () => undefined)).ended).toEqual({ holder: underWay });
});

test('all of them end when it can’t be told', async () => {
  const { ended, events } = await change([], () => Promise.reject(new Error('the engine is away')));
  expect(ended).toEqual({ holder: underWay });
  expect(events).toEqual(['error']);
});

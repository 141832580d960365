import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/engine/json.js';
import { routes } from '../../src/engine/routes.js';
import { isKnownCommand } from '../../src/rules/command-routes.js';
import { evaluate } from '../../src/rules/evaluate.js';
import { rules } from '../../src/rules/index.js';
import type { ContainerFacts, Facts, JudgedRequest } from '../../src/rules/rule.js';
import { loadSettingsFile } from '../../src/settings/load.js';
import type { Settings } from '../../src/settings/schema.js';

const folder = fileURLToPath(new URL('../../config/examples', import.meta.url));
const dockerSocket = '/var/run/docker.sock';
const holder = 'c'.repeat(64);

interface Asked {
  readonly route: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: JsonObject;
  readonly uid?: number;
  /** The image of the container whose granted socket the request comes through. */
  readonly from?: string;
}

function load(profile: string) {
  return loadSettingsFile(join(folder, `${profile}.json`));
}

/** The entry of the image list that stands for an image here: digests are another test's matter. */
function entryFor({ enhancedContainerIsolation }: Settings, image: string): string | undefined {
  const repository = image.replace(/:[^/]*$/, '');
  return enhancedContainerIsolation.dockerSocketMount.imageList.images.find(
    (entry) => repository === entry.replace(/:\*$/, '') || repository.startsWith(entry.replace(/\*\*$/, '')),
  );
}

function facts(settings: Settings, asked: Asked): Facts {
  const container: ContainerFacts = {
    id: holder,
    name: 'holder',
    image: asked.from ?? '',
    runtime: 'sysbox-runc',
    running: true,
    isolated: true,
    socketGranted: asked.from !== undefined,
    networkMode: 'bridge',
    pidMode: '',
    ipcMode: 'private',
    utsMode: '',
    mounts: [],
  };
  return {
    container: () => container,
    image: () => undefined,
    volume: (name) => ({
      name,
      driver: 'local',
      mountpoint: `/var/lib/docker/volumes/${name}/_data`,
      options: {},
    }),
    network: (ref) => ({ id: ref, name: ref, driver: 'bridge', options: {} }),
    exec: () => ({ containerId: holder }),
    path: (path) =>
      path === dockerSocket
        ? { real: '/run/docker.sock', type: 'socket', restricted: 'the Docker socket' }
        : { real: path, type: 'directory', device: 1n, inode: 2n, ownerUid: 1000, ownerGid: 1000 },
    socketImage: (ref) => {
      const entry = entryFor(settings, ref);
      return {
        imageId: `sha256:${'d'.repeat(64)}`,
        allowed: entry !== undefined,
        ...(entry === undefined ? {} : { entry, commandEntry: entry }),
        socket: { path: '/run/cofferdam/containers/docker.sock', device: '1', inode: '3' },
      };
    },
    hostRoutes: [],
  };
}

/** Ids of the rules that refuse a request under a profile; none when it is allowed. */
function refusals(profile: string, asked: Asked): string[] {
  const { settings } = load(profile);
  const route = routes.find(({ name }) => name === asked.route);
  if (route === undefined) throw new Error(`no route ${asked.route}`);
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
  const uid = asked.uid ?? 1000;
  const request: JudgedRequest = {
    route,
    params: Object.fromEntries(names.map((name) => [name, holder])),
    query: new Map(Object.entries(asked.query ?? {}).map(([name, value]) => [name, [value]])),
    headers: new Map(),
    ...(asked.body === undefined ? {} : { body: asked.body }),
    apiVersion: '1.47',
    caller: { uid, gid: uid, pid: 1, groups: [], ...(asked.from === undefined ? {} : { container: holder }) },
    engine: {
      version: '28.5.2',
      apiVersion: '1.51',
      cgroupVersion: '2',
      dataRoot: '/var/lib/docker',
      preparation: { runtime: true, defaultRuntime: true, builds: true },
    },
    settings,
  };
  const applicable = rules.filter((rule) => rule.routes.includes('*') || rule.routes.includes(route.name));
  return [...new Set(evaluate(applicable, request, facts(settings, asked)).denials.map(({ rule }) => rule))];
}

function create(image: string, hostConfig: JsonObject = {}): Asked {
  return { route: 'container.create', body: { Image: image, HostConfig: hostConfig } };
}

function withSocket(image: string): Asked {
  return create(image, { Binds: [`${dockerSocket}:${dockerSocket}`] });
}

/** What a client does that must go on working, and what it must not be able to do, with the rule that stops it. */
interface Play {
  readonly works: readonly Asked[];
  readonly refused: readonly (readonly [Asked, string])[];
}

const over = (image: string, ...names: string[]): Asked[] => names.map((route) => ({ route, from: image }));
const refusedOver = (image: string, ...names: string[]): (readonly [Asked, string])[] =>
  over(image, ...names).map((asked) => [asked, 'socket-commands']);

const traefik = 'docker.io/library/traefik:v3';
const portainer = 'docker.io/portainer/portainer-ce:2.27';
const watchtower = 'docker.io/containrrr/watchtower:latest';
const runner = 'docker.io/gitlab/gitlab-runner:v18';
const job = 'docker.io/library/node:22';
const agent = 'docker.io/jenkins/inbound-agent:latest';
const devcontainer = 'mcr.microsoft.com/devcontainers/base:debian';
const ryuk = 'docker.io/testcontainers/ryuk:0.12';
const stranger = withSocket('docker.io/library/busybox:latest');

const plays: Readonly<Record<string, Play>> = {
  traefik: {
    works: [
      withSocket(traefik),
      ...over(traefik, 'system.version', 'container.list', 'container.inspect', 'system.events'),
    ],
    refused: [
      [stranger, 'socket-mounts'],
      ...refusedOver(
        traefik,
        'container.create',
        'exec.create',
        'container.stop',
        'image.pull',
        'container.archive-get',
      ),
    ],
  },
  portainer: {
    works: [
      withSocket(portainer),
      ...over(
        portainer,
        'container.list',
        'container.start',
        'container.logs',
        'exec.create',
        'image.list',
        'volume.list',
      ),
      { ...create('docker.io/library/nginx:latest'), from: portainer },
    ],
    refused: [
      [stranger, 'socket-mounts'],
      [{ ...stranger, from: portainer }, 'socket-mounts'],
      [
        { ...create('docker.io/library/nginx:latest', { PidMode: 'host' }), from: portainer },
        'host-namespaces',
      ],
      ...refusedOver(portainer, 'plugin.pull', 'swarm.init', 'image.push', 'system.auth'),
    ],
  },
  watchtower: {
    works: [
      withSocket(watchtower),
      ...over(
        watchtower,
        'container.list',
        'container.inspect',
        'container.stop',
        'container.delete',
        'container.start',
      ),
      {
        route: 'image.pull',
        query: { fromImage: 'docker.io/library/nginx', tag: 'latest' },
        from: watchtower,
      },
      { ...create('docker.io/library/nginx:latest'), from: watchtower },
    ],
    refused: refusedOver(watchtower, 'exec.create', 'image.build', 'volume.create', 'container.archive-put'),
  },
  'gitlab-runner': {
    works: [
      withSocket(runner),
      create('docker.io/library/node:22', { Binds: ['/home/gitlab/builds:/builds'] }),
      { route: 'image.pull', query: { fromImage: 'docker.io/library/node', tag: '22' }, from: runner },
      ...over(runner, 'container.list', 'exec.create', 'network.create', 'volume.list'),
    ],
    refused: [
      [stranger, 'socket-mounts'],
      [{ route: 'image.load' }, 'image-import'],
      ...refusedOver(runner, 'image.save', 'plugin.pull'),
    ],
  },
  'github-actions-runner': {
    works: [
      withSocket(job),
      withSocket('ghcr.io/acme/ci/build:1'),
      ...over(job, 'container.list', 'image.build'),
    ],
    refused: [[stranger, 'socket-mounts'], ...refusedOver(job, 'swarm.init')],
  },
  'jenkins-agents': {
    works: [withSocket(agent), ...over(agent, 'container.list', 'exec.create', 'image.build', 'image.push')],
    refused: [[stranger, 'socket-mounts'], ...refusedOver(agent, 'plugin.pull', 'swarm.init')],
  },
  devcontainers: {
    works: [
      withSocket(devcontainer),
      create(devcontainer, { Binds: ['/home/dev/project:/workspaces/project'] }),
      ...over(devcontainer, 'container.list', 'image.build', 'exec.create'),
    ],
    refused: [[stranger, 'socket-mounts'], ...refusedOver(devcontainer, 'image.push', 'system.auth')],
  },
  testcontainers: {
    works: [
      withSocket(ryuk),
      create('docker.io/library/postgres:17', { PublishAllPorts: true }),
      ...over(ryuk, 'container.list', 'container.delete', 'network.delete', 'volume.delete', 'image.delete'),
    ],
    refused: [
      [stranger, 'socket-mounts'],
      ...refusedOver(ryuk, 'container.create', 'exec.create', 'container.archive-get'),
    ],
  },
  'ai-agent-sandbox': {
    works: [
      create('docker.io/library/python:3', { Binds: ['/home/agent/task:/task'] }),
      { route: 'image.pull', query: { fromImage: 'docker.io/library/python', tag: '3' } },
    ],
    refused: [
      [stranger, 'socket-mounts'],
      [
        { route: 'image.pull', query: { fromImage: 'ghcr.io/someone/thing', tag: 'latest' } },
        'registry-pull',
      ],
      [
        { route: 'image.pull', query: { fromImage: 'docker.io/someone/thing', tag: 'latest' } },
        'registry-pull',
      ],
      [{ route: 'image.load' }, 'image-import'],
      [create('docker.io/library/python:3', { NetworkMode: 'host' }), 'host-namespaces'],
    ],
  },
};

const profiles = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.replace(/\.json$/, ''));

it('plays every example, and no other', () => {
  expect(Object.keys(plays).sort()).toEqual(profiles.sort());
});

describe.each(profiles)('%s', (profile) => {
  const play = plays[profile] ?? { works: [], refused: [] };

  it('is a valid file with isolation locked on, and known commands only', () => {
    const { settings, warnings, ignored } = load(profile);
    expect({ warnings, ignored }).toEqual({ warnings: [], ignored: [] });
    expect(settings.enhancedContainerIsolation).toMatchObject({ value: true, locked: true });
    const { commandList, perImage } = settings.enhancedContainerIsolation.dockerSocketMount;
    const names = [commandList, ...perImage.map((entry) => entry.commandList)].flatMap(
      ({ commands }) => commands,
    );
    expect(names.filter((name) => !isKnownCommand(name))).toEqual([]);
  });

  it.each(play.works.map((asked) => [JSON.stringify(asked), asked] as const))('lets %s work', (_, asked) => {
    expect(refusals(profile, asked)).toEqual([]);
  });

  it.each(play.refused.map(([asked, rule]) => [JSON.stringify(asked), asked, rule] as const))(
    'refuses %s',
    (_, asked, rule) => {
      expect(refusals(profile, asked)).toContain(rule);
    },
  );
});

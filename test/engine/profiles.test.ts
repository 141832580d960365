/**
 * Each file of config/examples on a real engine: its client's container holds the socket and does what that client does,
 * by the docker command line, and what it must not be able to do has no effect. The registries of the files are a local
 * one; nothing else of them is changed.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { openWorld, type World } from '../host-files/world.js';
import { CountedRegistry } from '../registry/registries.js';
import { importSocketClient } from '../registry/socket-client-image.js';

const folder = fileURLToPath(new URL('../../config/examples', import.meta.url));
const dockerSocket = '/var/run/docker.sock:/var/run/docker.sock';
const run = 'docker run --rm --network none';
const blocked = 'is blocked; if you wish to allow it';
const notListed = 'image is not in the allowed list';

/** Commands of a client, and those that must fail with a text. `$REGISTRY` and `$HOME` are the test's own. */
interface Play {
  /** The image that gets the socket; absent where none does. */
  readonly image?: string;
  readonly works: readonly string[];
  readonly refused: readonly (readonly [command: string, text: string])[];
  /** What the user does on the host itself. */
  readonly onHost?: {
    readonly works: readonly string[];
    readonly refused: readonly (readonly [command: string, text: string])[];
  };
}

const plugins: readonly (readonly [string, string])[] = [
  ['docker plugin ls', blocked],
  ['docker swarm init', blocked],
];
const build = 'printf "FROM busybox\\nRUN touch /x" | DOCKER_BUILDKIT=0 docker build --network none -';

const plays: Readonly<Record<string, Play>> = {
  traefik: {
    image: 'library/traefik:v3',
    works: [
      'docker version',
      'docker ps',
      'docker inspect witness',
      'docker events --since 1 --until 2',
      'docker info',
    ],
    refused: [
      [`${run} busybox true`, blocked],
      ['docker exec witness true', blocked],
      ['docker stop witness', blocked],
      ['docker rm --force witness', blocked],
      ['docker pull $REGISTRY/library/busybox', blocked],
    ],
  },
  portainer: {
    image: 'portainer/portainer-ce:2.27',
    works: [
      'docker ps',
      'docker images',
      'docker volume create portainer-made',
      `${run} busybox grep -qE "^ +0 +[1-9][0-9]+ +65536$" /proc/self/uid_map`,
      'docker exec witness true',
      'docker logs witness',
    ],
    refused: [
      [`${run} --pid host busybox true`, 'pid'],
      [`${run} -v /:/host busybox true`, "can't mount /"],
      [`${run} -v ${dockerSocket} busybox true`, notListed],
      ['docker push busybox', blocked],
      ['docker login -u a -p b $REGISTRY', blocked],
      ...plugins,
    ],
  },
  watchtower: {
    image: 'containrrr/watchtower:latest',
    works: [
      'docker pull $REGISTRY/library/busybox',
      'docker run --detach --network none --name app busybox sleep 600',
      'docker rename app app-old',
      'docker create --network none --name app $REGISTRY/library/busybox sleep 600',
      'docker start app',
      'docker stop --time 0 app-old',
      'docker rm app-old',
    ],
    refused: [
      ['docker exec app true', blocked],
      ['docker volume create watchtower-made', blocked],
      ['docker cp app:/bin/busybox /', blocked],
      [build, blocked],
    ],
  },
  'gitlab-runner': {
    image: 'gitlab/gitlab-runner:v18',
    works: [
      'docker pull $REGISTRY/library/busybox',
      `${run} -v $HOME:/builds busybox touch /builds/gitlab-job`,
      'docker volume create gitlab-cache',
      `${run} -v gitlab-cache:/cache busybox touch /cache/x`,
      'docker exec witness true',
    ],
    refused: [
      ['docker save busybox', blocked],
      ['docker export witness', blocked],
      [`${run} --privileged --pid host busybox true`, 'pid'],
      ...plugins,
    ],
    onHost: { works: [], refused: [['docker load --input /dev/null', 'blockDockerLoad']] },
  },
  'github-actions-runner': {
    image: 'library/node:22',
    works: [`${run} busybox true`, build, 'docker ps'],
    refused: [[`${run} --network host busybox true`, 'network'], ...plugins],
  },
  'jenkins-agents': {
    image: 'jenkins/inbound-agent:latest',
    works: [
      build,
      'docker exec witness true',
      'docker tag busybox $REGISTRY/team/made',
      'docker push $REGISTRY/team/made',
    ],
    refused: [[`${run} -v /etc/shadow:/s busybox cat /s`, 'Permission denied'], ...plugins],
  },
  devcontainers: {
    image: 'devcontainers/base:debian',
    works: [
      `${run} -v $HOME:/workspace busybox touch /workspace/devcontainer`,
      build,
      'docker exec witness true',
    ],
    refused: [['docker push busybox', blocked], ['docker login -u a -p b $REGISTRY', blocked], ...plugins],
  },
  testcontainers: {
    image: 'testcontainers/ryuk:0.12',
    works: [
      'docker ps --all --filter label=org.testcontainers=true',
      'docker rm --force tested',
      'docker volume rm tested',
      'docker network ls',
      'docker images',
    ],
    refused: [
      [`${run} busybox true`, blocked],
      ['docker exec witness true', blocked],
      ['docker cp witness:/bin/busybox /', blocked],
    ],
    onHost: { works: [`${run} --publish-all busybox true`], refused: [] },
  },
  'ai-agent-sandbox': {
    works: [],
    refused: [],
    onHost: {
      works: [
        'docker pull $REGISTRY/library/busybox',
        `${run} -v $HOME:/task busybox touch /task/agent`,
        `${run} --privileged busybox grep -qE "^ +0 +[1-9][0-9]+ +65536$" /proc/self/uid_map`,
      ],
      refused: [
        ['docker pull $REGISTRY/someone/thing', 'registryAccess'],
        [`${run} -v /etc:/e busybox true`, "can't mount /etc"],
        [`${run} -v ${dockerSocket} busybox true`, notListed],
        [`${run} --network host busybox true`, 'network'],
        ['docker load --input /dev/null', 'blockDockerLoad'],
        ['docker push $REGISTRY/library/busybox', 'registryAccess'],
      ],
    },
  },
};

let world: World;
let registry: CountedRegistry;

beforeAll(async () => {
  registry = await CountedRegistry.start();
  world = await openWorld('cofferdam', '28.5');
  const { cli } = world.engine;
  await importSocketClient(cli, 'client');
  for (const [profile, { image }] of Object.entries(plays)) {
    if (image === undefined) continue;
    // Images of their own: what one profile lists is nothing to another.
    const id = await cli.must('create', '--runtime=runc', 'client');
    await cli.must('commit', `--change=LABEL profile=${profile}`, id, `${registry.address}/${image}`);
    await cli.must('rm', id);
    await cli.must('push', `${registry.address}/${image}`);
  }
  for (const name of ['library/busybox', 'someone/thing']) {
    await cli.must('tag', 'busybox', `${registry.address}/${name}`);
    await cli.must('push', `${registry.address}/${name}`);
  }
  await world.mallory.must(
    world.cli,
    'run',
    '--detach',
    '--network=none',
    '--name=witness',
    'busybox',
    'sleep',
    '3000',
  );
}, 300_000);
afterAll(async () => {
  await world?.stop();
  await registry?.close();
});

/** A profile's file as it is, with the local registry in place of the public ones. */
function settingsOf(profile: string): unknown {
  const text = readFileSync(join(folder, `${profile}.json`), 'utf8');
  const parsed = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  const local = JSON.stringify(parsed)
    .replaceAll(/"(docker\.io|mcr\.microsoft\.com|ghcr\.io)\//g, `"${registry.address}/`)
    .replaceAll('"docker.io"', `"${registry.address}"`);
  return JSON.parse(local);
}

/** A shell script that says of each command how it ended, and what it said. */
function script(commands: readonly string[]): string {
  return commands
    .map((command) => `said=$( ( ${command} ) 2>&1 </dev/null ); echo "@$?@"; echo "$said"`)
    .join('\n');
}

/** How each of the commands ended, out of the script's output. */
function outcomes(stdout: string): readonly { readonly code: number; readonly said: string }[] {
  const parts = stdout.split(/^@(\d+)@$/m).slice(1);
  return parts.flatMap((part, at) =>
    at % 2 === 0 ? [{ code: Number(part), said: parts[at + 1]?.trim() ?? '' }] : [],
  );
}

type Commands = Pick<Play, 'works' | 'refused'>;

async function play({ works, refused }: Commands, perform: (text: string) => Promise<{ stdout: string }>) {
  const commands = [...works, ...refused.map(([command]) => command)];
  const { stdout } = await perform(script(commands));
  const ended = outcomes(stdout);
  expect(ended).toHaveLength(commands.length);
  const told = commands.map((command, at) => ({ command, ...ended[at] }));
  expect(told.slice(0, works.length).filter(({ code }) => code !== 0)).toEqual([]);
  const stopped = told.slice(works.length);
  expect(stopped.filter(({ code }) => code === 0)).toEqual([]);
  expect(stopped).toEqual(
    refused.map(([command, text]) =>
      expect.objectContaining({ command, said: expect.stringContaining(text) }),
    ),
  );
}

const profiles = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.replace(/\.json$/, ''));

test('every example is played, and no other', () => {
  expect(Object.keys(plays).sort()).toEqual(profiles.sort());
});

test.each(profiles)('%s', async (profile) => {
  const { image, works, refused, onHost } = plays[profile] ?? { works: [], refused: [] };
  const { mallory, cli, cofferdam } = world;
  const containers = async () =>
    (await world.engine.cli.must('ps', '--all', '--format={{.Names}}')).split('\n');
  await cofferdam?.settle(settingsOf(profile));
  if (profile === 'testcontainers') {
    await mallory.must(
      cli,
      'create',
      '--label=org.testcontainers=true',
      '--network=none',
      '--name=tested',
      'busybox',
    );
    await mallory.must(cli, 'volume', 'create', 'tested');
  }
  const environment = [`REGISTRY=${registry.address}`, `HOME=${mallory.home}`];
  const stranger = await world.as(
    mallory,
    'run',
    '--rm',
    '--network=none',
    '-v',
    dockerSocket,
    'busybox',
    'true',
  );
  expect(stranger.stderr).toContain(notListed);
  if (image !== undefined) {
    const options = ['--detach', '--network=none', '-v', dockerSocket, `--name=holder-${profile}`];
    const given = environment.flatMap((entry) => ['--env', entry]);
    await mallory.must(cli, 'run', ...options, ...given, `${registry.address}/${image}`, 'sleep', '3000');
    await play({ works, refused }, (text) =>
      world.as(mallory, 'exec', `holder-${profile}`, 'sh', '-c', text),
    );
    await mallory.must(cli, 'rm', '--force', `holder-${profile}`);
  }
  if (onHost !== undefined) {
    const socket = `DOCKER_HOST=unix://${cli.socket} DOCKER_BUILDKIT=0`;
    await play(onHost, (text) => mallory.shell(`export ${socket} ${environment.join(' ')}\n${text}`));
  }
  // What was refused has left nothing, and what must not be touched is as it was.
  const allowed = profile === 'watchtower' ? ['app', 'witness'] : ['witness'];
  expect((await containers()).sort()).toEqual(allowed);
  expect(await world.engine.cli.must('inspect', '--format={{.State.Running}}', 'witness')).toBe('true');
  if (profile === 'watchtower') await mallory.must(cli, 'rm', '--force', 'app');
});

test('what the clients wrote into the user’s folder is the user’s', async () => {
  const { mallory } = world;
  const { stdout } = await mallory.shell('stat --format="%n %u:%g" agent devcontainer gitlab-job');
  const own = `${mallory.uid}:${mallory.gid}`;
  expect(stdout.trim().split('\n')).toEqual([`agent ${own}`, `devcontainer ${own}`, `gitlab-job ${own}`]);
});

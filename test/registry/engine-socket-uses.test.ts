/** What the Docker socket in a container is for: a CI job that builds and pushes, and a service of a compose project. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { CountedRegistry } from './registries.js';
import { importSocketClient } from './socket-client-image.js';

const socket = '/var/run/docker.sock:/var/run/docker.sock';
let engine: Engine;
let cofferdam: Cofferdam;
let registry: CountedRegistry;
let trusted: string;

function settings(...denied: string[]) {
  const commandList = { type: 'deny', commands: denied };
  return {
    enhancedContainerIsolation: {
      value: true,
      dockerSocketMount: { imageList: { images: [trusted] }, commandList },
    },
  };
}

beforeAll(async () => {
  registry = await CountedRegistry.start();
  trusted = `${registry.address}/ci/client:1`;
  engine = await startIsolatingEngine({ version: '28.5', store: 'overlay2' });
  cofferdam = await startCofferdam({ engine, settings: settings() });
  await importBusybox(engine.cli);
  await importSocketClient(engine.cli, trusted);
  await engine.cli.must('push', trusted);
});

afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
  await registry?.close();
});

const job = (script: string) =>
  cofferdam.docker('run', '--rm', '--network', 'none', '-v', socket, trusted, 'sh', '-ec', script);
const build = (name: string) =>
  `printf 'FROM busybox\\nRUN cat /proc/self/uid_map > /map\\n' | DOCKER_BUILDKIT=0 docker build --network none -t ${name} -`;

test('a CI job builds an image, pushes it, and runs it; every step is isolated', async () => {
  const name = `${registry.address}/ci/built:1`;
  const done = await job(`${build(name)}; docker push ${name}; docker rmi ${name}; docker pull ${name}
    docker run --rm --network none ${name} cat /map`);
  expect(done.stderr).not.toContain('isolation');
  expect(done.code).toBe(0);
  const [inside, outside] = (done.stdout.trim().split('\n').at(-1) ?? '').trim().split(/\s+/).map(Number);
  expect(inside).toBe(0);
  expect(outside).toBeGreaterThanOrEqual(100_000);
});

test('a job that may not push may still build', async () => {
  cofferdam.writeSettings(settings('push'));
  await cofferdam.logged(/settings changed.*commands/);
  const name = `${registry.address}/ci/kept:1`;
  expect((await job(build(name))).code).toBe(0);
  const pushed = await job(`docker push ${name}`);
  expect(pushed.code).not.toBe(0);
  expect(pushed.stderr).toMatch(
    /docker command "\/v1\.\d+\/images\/127\.0\.0\.1:\d+\/ci\/kept\/push\?tag=1" is blocked/,
  );
});

test('a compose project with a service that watches the others', async () => {
  const folder = join(engine.folder, 'project');
  mkdirSync(folder);
  const quiet = { network_mode: 'none', stop_signal: 'KILL' };
  const watch =
    'docker ps --filter label=com.docker.compose.project=watched --format "{{.Names}}"; sleep 600';
  const project = {
    name: 'watched',
    services: {
      web: { ...quiet, image: 'busybox', command: ['sleep', '600'] },
      watcher: {
        ...quiet,
        image: trusted,
        command: ['sh', '-c', watch],
        volumes: [socket],
        depends_on: ['web'],
      },
    },
  };
  // JSON is YAML.
  writeFileSync(join(folder, 'compose.yaml'), JSON.stringify(project));
  const compose = (...argv: string[]) => cofferdam.dockerWith({ cwd: folder }, 'compose', ...argv);
  const up = await compose('up', '--detach');
  expect(up.code).toBe(0);
  const logs = async () => (await compose('logs', '--no-log-prefix', 'watcher')).stdout;
  await expect.poll(logs, { timeout: 10_000 }).toContain('watched-web-1');
  const same = {
    ...project,
    services: { ...project.services, watcher: { ...project.services.watcher, image: 'busybox' } },
  };
  writeFileSync(join(folder, 'compose.yaml'), JSON.stringify(same));
  expect((await compose('up', '--detach')).stderr).toContain('image is not in the allowed list');
  expect((await compose('down')).code).toBe(0);
});

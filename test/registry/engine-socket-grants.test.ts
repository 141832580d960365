/**
 * The Docker socket inside containers, on real engines with a real registry: who gets it, what it may be used for, and
 * what becomes of attempts to get it by another name.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, type EngineOptions, importBusybox } from '../support/engines.js';
import { CountedRegistry } from './registries.js';
import { importSocketClient } from './socket-client-image.js';

const kinds: readonly { readonly title: string; readonly options: EngineOptions }[] = [
  { title: '28.5 overlay2', options: { version: '28.5', store: 'overlay2' } },
  { title: '28.5 containerd', options: { version: '28.5', store: 'containerd' } },
  { title: '20.10', options: { version: '20.10' } },
];

const kind = (name: string) => `application/vnd.docker.distribution.${name}+json`;
const socket = '/var/run/docker.sock:/var/run/docker.sock';

describe.each(kinds)('engine $title', ({ options }) => {
  let engine: Engine;
  let cofferdam: Cofferdam;
  let registry: CountedRegistry;
  let trusted: string;

  /** Settings with these images, and a wait until they are in force. */
  async function settle(images: readonly string[], more: object = {}): Promise<void> {
    const generation = cofferdam.log.split('settings').length;
    cofferdam.writeSettings({
      enhancedContainerIsolation: { value: true, dockerSocketMount: { imageList: { images }, ...more } },
    });
    await expect
      .poll(() => cofferdam.log.split('settings').length, { timeout: 10_000 })
      .toBeGreaterThan(generation);
  }

  const run = (image: string, ...argv: string[]) =>
    cofferdam.docker('run', '--rm', '--network', 'none', '-v', socket, image, ...argv);

  beforeAll(async () => {
    registry = await CountedRegistry.start();
    trusted = `${registry.address}/ci/client:1`;
    engine = await startIsolatingEngine(options);
    cofferdam = await startCofferdam({ engine });
    await importBusybox(engine.cli);
    await importSocketClient(engine.cli, trusted);
    await engine.cli.must('push', trusted);
    await engine.cli.must('rmi', trusted);
    await engine.cli.must('pull', trusted);
  });

  afterAll(async () => {
    await cofferdam?.close();
    await engine?.stop();
    await registry?.close();
  });

  beforeEach(async () => {
    await settle([trusted, `${Math.random()}.example/never`]);
  });

  test('an image that is not listed is refused, with Docker Desktop’s text', async () => {
    const refused = await run('busybox', 'true');
    expect(refused.code).toBe(125);
    expect(refused.stderr).toContain(
      'docker socket mount denied for container with image "docker.io/library/busybox"; image is not in the allowed list',
    );
  });

  test('a listed image gets a socket that works, and what it makes is isolated', async () => {
    const version = await run(trusted, 'docker', 'version', '--format', '{{.Server.Version}}');
    expect(version.stderr).toBe('');
    expect(version.stdout.trim()).toMatch(/^\d+\./);
    const inner = ['docker', 'run', '--rm', '--network', 'none', 'busybox', 'cat', '/proc/self/uid_map'];
    const map = await run(trusted, ...inner);
    expect(map.stderr).toBe('');
    expect(map.stdout.trim().split(/\s+/)[0]).toBe('0');
    expect(Number(map.stdout.trim().split(/\s+/)[1])).toBeGreaterThanOrEqual(100_000);
  });

  test('what it makes may mount the socket only by its own image', async () => {
    const inner = ['docker', 'run', '--rm', '--network', 'none', '-v', socket, 'busybox', 'true'];
    expect((await run(trusted, ...inner)).stderr).toContain('image is not in the allowed list');
  });

  test('it reaches no file of the host that its maker couldn’t reach', async () => {
    const inner = [
      'docker',
      'run',
      '--rm',
      '--network',
      'none',
      '-v',
      '/etc/shadow:/s',
      'busybox',
      'cat',
      '/s',
    ];
    const result = await run(trusted, ...inner);
    expect(result.code).not.toBe(0);
  });

  test('another image under the trusted name is not trusted', async () => {
    await engine.cli.must('rmi', '-f', trusted);
    await engine.cli.must('tag', 'busybox', trusted);
    expect((await run(trusted, 'true')).stderr).toContain('image is not in the allowed list');
    await engine.cli.must('rmi', trusted);
    await engine.cli.must('pull', trusted);
    expect((await run(trusted, 'true')).code).toBe(0);
  });

  test('an image made on a trusted one is allowed, unless the settings say otherwise', async () => {
    const id = await engine.cli.must('create', '--runtime', 'runc', trusted, 'true');
    await engine.cli.must('commit', id, 'derived:1');
    await engine.cli.must('rm', id);
    expect((await run('derived:1', 'docker', 'ps')).code).toBe(0);
    await settle([trusted], { imageList: { images: [trusted], allowDerivedImages: false } });
    expect((await run('derived:1', 'docker', 'ps')).stderr).toContain('image is not in the allowed list');
  });

  test('the command list holds, for every image or for one', async () => {
    await settle([trusted], { commandList: { type: 'deny', commands: ['ps', 'push'] } });
    const blocked = await run(trusted, 'docker', 'ps');
    expect(blocked.stderr).toMatch(
      /enhanced container isolation: docker command "\/v1\.\d+\/containers\/json" is blocked; if you wish to allow it, configure the docker socket command list/,
    );
    expect((await run(trusted, 'docker', 'images')).code).toBe(0);
    await settle([trusted], {
      commandList: { type: 'deny', commands: ['ps'] },
      perImage: [{ image: trusted, commandList: { type: 'allow', commands: ['ps'] } }],
    });
    expect((await run(trusted, 'docker', 'ps')).code).toBe(0);
    expect((await run(trusted, 'docker', 'images')).stderr).toContain('is blocked');
  });

  test('access ends with the settings that gave it', async () => {
    await cofferdam.cli.must(
      'run',
      '-d',
      '--name',
      'holder',
      '--network',
      'none',
      '-v',
      socket,
      trusted,
      'sleep',
      '600',
    );
    expect((await cofferdam.docker('exec', 'holder', 'docker', 'ps')).code).toBe(0);
    await settle([]);
    expect((await cofferdam.docker('exec', 'holder', 'docker', 'ps')).stderr).toContain('any more');
    await cofferdam.cli.must('rm', '-f', 'holder');
  });

  test('a restart of cofferdam: a running container has its socket back, and one that restarts as well', async () => {
    const argv = ['run', '-d', '--name', 'kept', '--network', 'none', '-v', socket, trusted, 'sleep', '600'];
    await cofferdam.cli.must(...argv);
    await cofferdam.stop();
    await cofferdam.start();
    await cofferdam.logged('the container has its Docker socket again');
    expect((await cofferdam.docker('exec', 'kept', 'docker', 'ps')).stderr).toBe('');
    await cofferdam.cli.must('restart', '--time', '0', 'kept');
    expect((await cofferdam.docker('exec', 'kept', 'docker', 'ps')).stderr).toBe('');
    await cofferdam.cli.must('rm', '-f', 'kept');
  });

  test('nobody borrows the socket of another container', async () => {
    const argv = [
      'run',
      '-d',
      '--name',
      'lender',
      '--network',
      'none',
      '-v',
      socket,
      trusted,
      'sleep',
      '600',
    ];
    await cofferdam.cli.must(...argv);
    const borrowed = await cofferdam.docker('run', '--rm', '--volumes-from', 'lender', 'busybox', 'true');
    expect(borrowed.code).toBe(125);
    const joined = await cofferdam.docker('run', '--rm', '--pid', 'container:lender', 'busybox', 'true');
    expect(joined.code).toBe(125);
    await cofferdam.cli.must('rm', '-f', 'lender');
  });

  test('an image of several platforms is known by its index, in whatever store', async () => {
    const repository = `${registry.address}/ci/client`;
    const address = `http://${registry.address}/v2/ci/client/manifests`;
    const accept = [kind('manifest.v2'), 'application/vnd.oci.image.manifest.v1+json'].join(', ');
    const manifest = await fetch(`${address}/1`, { headers: { accept } });
    const child = {
      mediaType: manifest.headers.get('content-type'),
      digest: manifest.headers.get('docker-content-digest'),
      size: (await manifest.arrayBuffer()).byteLength,
      platform: { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch },
    };
    const mediaType = kind('manifest.list.v2');
    const index = JSON.stringify({ schemaVersion: 2, mediaType, manifests: [child] });
    const put = { method: 'PUT', headers: { 'content-type': mediaType }, body: index };
    const made = await fetch(`${address}/several`, put);
    expect(made.status).toBe(201);
    await engine.cli.must('rmi', '-f', trusted);
    await engine.cli.must('pull', `${repository}:several`);
    const listed = [`${repository}:several`, `${repository}@${made.headers.get('docker-content-digest')}`];
    for (const entry of listed) {
      await settle([entry], { imageList: { images: [entry], allowDerivedImages: false } });
      expect(`${entry} ${(await run(`${repository}:several`, 'docker', 'ps')).stderr}`).toBe(`${entry} `);
    }
    await settle([`${repository}@sha256:${'a'.repeat(64)}`]);
    expect((await run(`${repository}:several`, 'true')).stderr).toContain('image is not in the allowed list');
    await engine.cli.must('rmi', `${repository}:several`);
    await engine.cli.must('pull', trusted);
  });

  test('a registry that is away: the last known digest counts', async () => {
    expect((await run(trusted, 'docker', 'ps')).code).toBe(0);
    await registry.close();
    await settle([trusted], { commandList: { type: 'deny', commands: ['push'] } });
    expect((await run(trusted, 'docker', 'ps')).code).toBe(0);
  });
});

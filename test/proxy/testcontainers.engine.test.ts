/** testcontainers with its reaper, which gets the Docker socket: direct, and through the proxy where settings allow it. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { importSocketClient } from '../registry/socket-client-image.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import type { DockerCli } from '../support/docker-cli.js';
import { type Engine, importBusybox, startEngine } from '../support/engines.js';

const suite = fileURLToPath(new URL('clients/reaped.mjs', import.meta.url));
const reaper = fileURLToPath(new URL('clients/reaper.sh', import.meta.url));

/** Without the isolating runtime, which starts no container with the engine's own socket. */
let plain: Engine;
let engine: Engine;
let cofferdam: Cofferdam;

/** Imports the images of a suite and its reaper. @returns the reaper's image id */
async function importImages({ cli }: Engine): Promise<string> {
  await importBusybox(cli);
  await importSocketClient(cli, 'reaper-base');
  await cli.must('create', '--name', 'reaper', '--network', 'none', 'reaper-base');
  await cli.must('cp', reaper, 'reaper:/reaper');
  const image = await cli.must('commit', '--change', 'CMD ["/reaper"]', 'reaper', 'ryuk:test');
  await cli.must('rm', 'reaper');
  return image;
}

beforeAll(async () => {
  plain = await startEngine({ version: '28.5', network: true });
  await importImages(plain);
  engine = await startIsolatingEngine({ version: '28.5', network: true });
  const image = await importImages(engine);
  const dockerSocketMount = { imageList: { images: [image] } };
  cofferdam = await startCofferdam({
    engine,
    settings: {
      configurationFileVersion: 2,
      enhancedContainerIsolation: { value: true, dockerSocketMount },
    },
  });
});

afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
  await plain?.stop();
});

/** What a suite printed, and the containers that were left when its reaper had gone. */
async function runSuite(
  host: Engine,
  cli: DockerCli,
): Promise<{ code: number; stdout: string; stderr: string; left: string }> {
  const variables = {
    DOCKER_HOST: `unix://${cli.socket}`,
    RYUK_CONTAINER_IMAGE: 'ryuk:test',
    TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1',
  };
  const environment = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const outcome = await host.inNetwork('env', ...environment, process.execPath, suite);
  const containers = () => cli.must('ps', '--all', '--format', '{{.Image}}');
  const told = `the suite ended with ${outcome.code}: ${outcome.stdout}${outcome.stderr}`;
  try {
    await expect.poll(containers, { timeout: 60_000, message: told }).toBe('');
    return { ...outcome, left: await containers() };
  } finally {
    const left = await cli.must('ps', '--all', '--quiet');
    if (left !== '') await cli.must('rm', '--force', ...left.split('\n'));
  }
}

it('a suite that ends without cleaning up leaves nothing: its reaper removes everything', async () => {
  const direct = await runSuite(plain, plain.cli);
  const through = await runSuite(engine, cofferdam.cli);
  expect(through).toEqual(direct);
  expect(through).toMatchObject({ code: 0, left: '' });
  expect(JSON.parse(through.stdout)).toEqual({ status: 200, text: 'hello\n' });
}, 300_000);

import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeBusyboxRoot } from '../support/busybox-image.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, hostCommand } from '../support/engines.js';

const project = fileURLToPath(new URL('../../docker-compose.test.yml', import.meta.url));
let engine: Engine;
let cofferdam: Cofferdam;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-compose-'));
  mkdirSync(join(folder, 'root'));
  await writeBusyboxRoot(join(folder, 'root'));
  await hostCommand('tar', ['-C', join(folder, 'root'), '-cf', join(folder, 'root.tar'), '.']);
  cpSync(project, join(folder, 'docker-compose.test.yml'));
  engine = await startIsolatingEngine({ version: '26.1', network: true });
  cofferdam = await startCofferdam({ engine });
});
afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function compose(...argv: string[]) {
  const env = { COFFERDAM_TEST_ROOT: folder };
  return cofferdam.dockerWith({ env }, 'compose', '--progress', 'plain', '--file', project, ...argv);
}

test('a compose project comes up through the proxy, each service in a range of its own', async () => {
  const up = await compose('up', '--build', '--exit-code-from', 'verify');
  expect(`${up.stdout}${up.stderr}`).toContain('different ranges: 3');
  expect(up.code).toBe(0);
});

test('compose lists, runs in, and logs its services', async () => {
  expect((await compose('up', '--detach', 'web')).code).toBe(0);
  const services = await compose('ps', '--services');
  expect(services.stdout).toContain('web');
  const inside = await compose('exec', '-T', 'web', 'cat', '/proc/self/uid_map');
  expect(inside.stdout).toMatch(/^\s+0\s+\d{6,}\s+65536\n$/);
  expect((await compose('logs', '--no-log-prefix', 'verify')).stdout).toContain('different ranges: 3');
});

test('down -v leaves no container, network or volume', async () => {
  expect((await compose('down', '--volumes')).code).toBe(0);
  expect(await engine.cli.must('ps', '--all', '--quiet')).toBe('');
  expect(await engine.cli.must('volume', 'ls', '--quiet')).toBe('');
  expect(await engine.cli.must('network', 'ls', '--filter', 'type=custom', '--quiet')).toBe('');
});

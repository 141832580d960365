/** `docker stack deploy` by whoever manages the swarm: its network, its services, and no host folder in them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';

let engine: Engine;
let cofferdam: Cofferdam;

beforeAll(async () => {
  engine = await startIsolatingEngine({ version: '28.5', network: true });
  cofferdam = await startCofferdam({ engine });
  await importBusybox(engine.cli);
  await cofferdam.cli.must('swarm', 'init', '--advertise-addr', '127.0.0.1');
});

afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
});

/** A stack of one service without tasks. */
function stackFile(more: string): string {
  const path = join(engine.folder, 'stack.yml');
  const service = `    image: busybox\n    deploy:\n      replicas: 0\n${more}`;
  writeFileSync(path, `version: "3.8"\nservices:\n  web:\n${service}`);
  return path;
}

test('a stack gets its overlay network and its service, and goes again', async () => {
  const file = stackFile('');
  await cofferdam.cli.must('stack', 'deploy', '--detach=true', '--resolve-image=never', '-c', file, 'shop');
  expect(await engine.cli.must('network', 'inspect', '--format={{.Driver}}', 'shop_default')).toBe('overlay');
  expect(await engine.cli.must('service', 'ls', '--format={{.Name}}')).toBe('shop_web');
  await cofferdam.cli.must('stack', 'rm', 'shop');
});

test('a stack with a folder of the host is refused', async () => {
  const file = stackFile('    volumes:\n      - /etc:/e\n');
  const refused = await cofferdam.docker('stack', 'deploy', '--detach=true', '-c', file, 'thief');
  expect(refused.stderr).toContain("a service can't mount /etc of the host");
});

/** From the setting to the engine: `cofferdam setup` names the proxy, `cofferdam run` is it, `unsetup` takes it back. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { examineEgress } from '../../../src/doctor/egress.js';
import { DaemonJsonProblem, mergeProxies, unmergeRuntime } from '../../../src/engine/daemon-json.js';
import { runCommand } from '../../../src/engine/embedded/command.js';
import { engineProxies } from '../../../src/engine/engine-proxies.js';
import { type Cofferdam, cofferdamFolders, startCofferdam } from '../../support/cofferdam.js';
import { type Engine, startEngine } from '../../support/engines.js';
import { freePort } from '../registries.js';

let engine: Engine | undefined;
let cofferdam: Cofferdam | undefined;
afterEach(async () => {
  await cofferdam?.close();
  await engine?.stop();
});

async function prepare(version: '20.10' | '28.5') {
  const running = await startEngine({ version });
  engine = running;
  const { state, run } = cofferdamFolders(running.folder);
  const settings = join(running.folder, 'settings.json');
  const egressPort = await freePort();
  const registryAccess = {
    value: true,
    egress: true,
    egressPort,
    registries: [{ address: 'registry.example' }],
  };
  mkdirSync(run, { recursive: true });
  writeFileSync(settings, JSON.stringify({ registryAccess }));
  const verb = (name: string, ...argv: string[]) =>
    runCommand(process.execPath, [
      ...['bin/cofferdam', name, '--engine', `unix://${running.socket}`, '--settings', settings],
      ...['--state', state, '--run-dir', run, ...argv],
    ]);
  return { running, registryAccess, egressPort, verb, daemonJson: running.files.configuration };
}

test('an engine that knows proxies gets them in daemon.json', async () => {
  const { running, registryAccess, egressPort, verb, daemonJson } = await prepare('28.5');
  const original = readFileSync(daemonJson, 'utf8');
  const done = await verb('setup');
  expect(done.stderr).toBe('');
  expect(done.stdout).toContain(`+     "https-proxy": "http://127.0.0.1:${egressPort}"`);
  expect(done.stdout).toContain('it connects to registries through cofferdam');
  expect(JSON.parse(readFileSync(daemonJson, 'utf8')).proxies).toEqual(engineProxies(egressPort));

  // The engine of the harness writes its own configuration at each start: the merged one is put back before it.
  const merged = readFileSync(daemonJson, 'utf8');
  cofferdam = await startCofferdam({ engine: running, settings: { registryAccess } });
  await cofferdam.logged('connects past cofferdam');
  expect(await examineEgress(running.socket, egressPort)).toMatchObject([{ outcome: 'bad' }]);
  await cofferdam.stop();
  await running.restartWith(JSON.parse(merged));
  await cofferdam.start();
  await cofferdam.logged("the engine's way out is open");
  expect(await examineEgress(running.socket, egressPort)).toMatchObject([{ outcome: 'ok' }]);
  expect(await examineEgress(running.socket, undefined)).toEqual([]);
  const info = await running.cli.must('info', '--format={{.HTTPProxy}} {{.HTTPSProxy}} {{.NoProxy}}');
  expect(info).toBe(`http://127.0.0.1:${egressPort} http://127.0.0.1:${egressPort} localhost`);

  const refused = await running.docker('pull', 'other.example/team/base:1');
  expect(refused.stderr).toContain('Access to other.example has been restricted by your administrators');
  const records = async () => (await cofferdam?.verb('audit', '--json'))?.stdout;
  await expect.poll(records).toContain('"event":"egress.refused"');
  await cofferdam.stop();
  const closed = await running.docker('pull', 'registry.example/team/base:1');
  expect(closed.stderr).toContain(`127.0.0.1:${egressPort}: connect: connection refused`);

  const undone = await verb('unsetup');
  expect(undone.stdout).toContain('-     "https-proxy"');
  expect(JSON.parse(readFileSync(daemonJson, 'utf8'))).toEqual(JSON.parse(original));
});

test('an engine before 23.0 needs them in its environment, and gets no key that it would refuse', async () => {
  const { running, egressPort, verb, daemonJson } = await prepare('20.10');
  const done = await verb('setup');
  expect(done.stdout).toContain(`HTTPS_PROXY=http://127.0.0.1:${egressPort}`);
  expect(done.stdout).toContain('NO_PROXY=localhost');
  expect(readFileSync(daemonJson, 'utf8')).not.toContain('proxies');
  expect((await running.docker('info')).code).toBe(0);
});

describe('proxies in daemon.json', () => {
  const own = engineProxies(3129);

  test('are put in, changed and taken out, with everything else as it was', () => {
    const text = '{\n    "debug": true\n}\n';
    const merged = mergeProxies(text, own);
    expect(JSON.parse(merged)).toEqual({ debug: true, proxies: own });
    expect(mergeProxies(merged, own)).toBe(merged);
    expect(JSON.parse(mergeProxies(merged, engineProxies(4000))).proxies).toEqual(engineProxies(4000));
    expect(mergeProxies(merged, undefined)).toBe(text);
    expect(unmergeRuntime(merged, { hadRuntimes: false })).toBe(text);
  });

  test('of somebody else are never replaced nor removed', () => {
    const text = '{"proxies":{"https-proxy":"http://proxy.corp.example:8080"}}';
    expect(() => mergeProxies(text, own)).toThrow(DaemonJsonProblem);
    expect(mergeProxies(text, undefined)).toBe(text);
    expect(mergeProxies('{"proxies":{}}', own)).toContain('3129');
  });
});

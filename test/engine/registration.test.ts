import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  applyRegistration,
  engineRuntimes,
  planRegistration,
  undoRegistration,
} from '../../src/engine/registration.js';
import { type Engine, engineVersions, startEngine } from '../support/engines.js';

let engine: Engine | undefined;
beforeAll(() => {
  engine = undefined;
});
afterAll(async () => engine?.stop());

test.each(engineVersions)('a running engine %s takes the runtime, and gives it back', async (version) => {
  const running = await startEngine({ version, configuration: { labels: ['a=b'] } });
  engine = running;
  const stateDir = join(running.folder, 'state');
  const launcher = join(stateDir, 'bin/cofferdam-runtime');
  mkdirSync(join(stateDir, 'bin'), { recursive: true });
  writeFileSync(launcher, '#!/bin/sh\nexec runc "$@"\n', { mode: 0o755 });
  const options = { socket: running.socket, stateDir, launcher };
  const original = readFileSync(running.files.configuration, 'utf8');

  const plan = planRegistration(options);
  expect(plan.daemonJson).toBe(running.files.configuration);
  expect(plan.changes.join('\n')).toContain(`+     "sysbox-runc": {`);
  expect(plan.changes.join('\n')).toContain(`+   "default-runtime": "sysbox-runc"`);
  expect(plan.missingEnvironment[0]).toBe(`DOCKER_BUILDKIT_RUNC_COMMAND=${stateDir}/bin/buildkit/runc`);
  expect(plan.missingEnvironment.some((entry) => entry.startsWith(`PATH=${stateDir}/bin/buildkit:`))).toBe(
    version === '20.10',
  );
  expect(readFileSync(running.files.configuration, 'utf8')).toBe(original);

  await applyRegistration(plan, options);
  const runtimes = await engineRuntimes(running.socket);
  expect(runtimes.defaultRuntime).toBe('sysbox-runc');
  expect(runtimes.paths.get('sysbox-runc')).toBe(launcher);
  expect(readFileSync(`${running.files.configuration}.before-cofferdam`, 'utf8')).toBe(original);
  expect(planRegistration(options).changes).toEqual([]);

  const undone = await undoRegistration(options);
  expect(undone.changes.length).toBeGreaterThan(0);
  expect(readFileSync(running.files.configuration, 'utf8')).toBe(original);
  expect(existsSync(`${running.files.configuration}.before-cofferdam`)).toBe(false);
  expect(existsSync(join(stateDir, 'setup.json'))).toBe(false);
  await running.halt();
  await running.start();
  expect((await engineRuntimes(running.socket)).defaultRuntime).toBe('runc');
  await running.stop();
});

test('a file that was edited after setup loses only the runtime', async () => {
  const running = await startEngine({ version: '26.1' });
  engine = running;
  const stateDir = join(running.folder, 'state');
  const options = { socket: running.socket, stateDir, launcher: join(stateDir, 'bin/cofferdam-runtime') };
  await applyRegistration(planRegistration(options), options);
  const edited = JSON.parse(readFileSync(running.files.configuration, 'utf8'));
  writeFileSync(running.files.configuration, JSON.stringify({ ...edited, debug: true }));
  await undoRegistration(options);
  expect(JSON.parse(readFileSync(running.files.configuration, 'utf8'))).toEqual({
    features: { 'containerd-snapshotter': false },
    debug: true,
  });
});

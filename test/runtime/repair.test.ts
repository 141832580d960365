/**
 * `cofferdam doctor --repair` after a power cut: torn files of the ledger, and a run folder that is as it was. What
 * containers of the engine may need stays.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { damagedFolder, repair } from '../../src/doctor/repair.js';
import { EngineClient } from '../../src/engine/client.js';
import { IsolatingEngine } from './support/isolating-engine.js';

let isolating: IsolatingEngine;
let client: EngineClient;
beforeAll(async () => {
  isolating = await IsolatingEngine.start({ version: '26.1' }, false);
  client = new EngineClient(isolating.engine.socket);
});
afterAll(async () => {
  await client?.close();
  await isolating?.stop();
});

const inLedger = (path: string): string => join(isolating.stateDir, 'ledger', path);
const sleeping = ['--network', 'none', 'busybox', 'sleep', '1000'];

test('what a power cut tore is moved aside, unless a container needs it', async () => {
  const running = await isolating.docker('run', '--detach', ...sleeping);
  const torn = await isolating.docker('create', ...sleeping);
  isolating.ledger.allocateFor(torn);
  const range = isolating.ledger.read(running)?.range;
  const gone = 'f'.repeat(64);
  const lost = isolating.ledger.allocateFor('e'.repeat(64)).range.base;

  for (const id of [torn, gone]) writeFileSync(inLedger(`containers/${id}`), '');
  writeFileSync(inLedger(`intents/${'a'.repeat(32)}`), '{"half');
  writeFileSync(inLedger('ranges/rubbish'), '');
  const runtime = join(isolating.runDir, 'runtime');
  mkdirSync(join(runtime, 'mounts', gone, 'root'), { recursive: true });
  writeFileSync(join(runtime, 'mounts', gone, 'init'), '4194305');
  mkdirSync(join(runtime, 'daemon-4194305-1'));

  const options = { stateDir: isolating.stateDir, runDir: isolating.runDir, client };
  const [mounts, ledger] = await repair(options);
  expect(mounts?.outcome).toBe('ok');
  expect(ledger?.outcome).toBe('warning');
  expect(ledger?.detail).toContain(`containers/${torn}`);
  expect(readdirSync(join(runtime, 'mounts'))).toEqual([running]);
  expect(existsSync(join(runtime, 'daemon-4194305-1'))).toBe(false);
  expect(isolating.ledger.survey().problems.map(({ file }) => file)).toEqual([`containers/${torn}`]);
  expect(isolating.ledger.isTaken(lost)).toBe(false);
  const aside = readdirSync(damagedFolder(isolating.stateDir));
  expect(aside.map((name) => name.replace(/^\d+-/, '')).sort()).toEqual(
    [`containers-${gone}`, `intents-${'a'.repeat(32)}`, 'ranges-rubbish'].sort(),
  );

  // The container that the torn record belongs to is started by nobody; removed, its record goes too.
  expect((await isolating.engine.docker('start', torn)).code).not.toBe(0);
  await isolating.docker('rm', torn);
  expect((await repair(options)).map(({ outcome }) => outcome)).toEqual(['ok', 'ok']);
  expect(isolating.ledger.survey().problems).toEqual([]);
  expect(isolating.ledger.list().map(({ id }) => id)).toEqual([running]);
  expect(isolating.ledger.read(running)?.range).toEqual(range);
  expect(await isolating.docker('exec', running, 'cat', '/proc/self/uid_map')).toMatch(
    new RegExp(`^\\s*0\\s+${range?.base}\\s+65536$`),
  );
});

test('without an engine nothing of the ledger is touched', async () => {
  const path = inLedger(`containers/${'d'.repeat(64)}`);
  writeFileSync(path, '');
  const [, ledger] = await repair({
    stateDir: isolating.stateDir,
    runDir: isolating.runDir,
    client: undefined,
  });
  expect(ledger).toMatchObject({ outcome: 'warning', detail: expect.stringMatching(/nothing was changed/) });
  expect(readFileSync(path, 'utf8')).toBe('');
});

/** The daemon in front of an engine that gains and loses the runtime, without a restart of either. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type Cofferdam, startCofferdam } from '../support/cofferdam.js';
import { type Engine, importBusybox, startEngine } from '../support/engines.js';
import { parseUidMap } from '../support/uid-map.js';

const statusSchema = z.object({ runtime: z.object({ registered: z.boolean(), isDefault: z.boolean() }) });

let engine: Engine;
let cofferdam: Cofferdam;
beforeAll(async () => {
  engine = await startEngine({ version: '28.5' });
  await importBusybox(engine.cli);
  cofferdam = await startCofferdam({ engine });
});
afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
});

async function runtime() {
  return statusSchema.parse(JSON.parse((await cofferdam.verb('status', '--json')).stdout)).runtime;
}

const run = () => cofferdam.docker('run', '--rm', '--network=none', 'busybox', 'cat', '/proc/self/uid_map');

test('it refuses, serves as soon as setup is done, and tells when that is taken back', async () => {
  expect(await runtime()).toEqual({ registered: false, isDefault: false });
  expect((await run()).stderr).toContain('lacks the isolating runtime');
  expect(await cofferdam.verb('setup')).toMatchObject({ code: 0 });
  // Its events tell of the reload: by itself it looks once a minute.
  await expect.poll(runtime, { timeout: 15_000 }).toEqual({ registered: true, isDefault: true });
  expect(parseUidMap((await run()).stdout)).toMatchObject({ inside: 0, size: 65_536 });
  expect(await cofferdam.verb('unsetup')).toMatchObject({ code: 0 });
  // A reload leaves the runtimes that there were: only the default is another one.
  await expect.poll(runtime, { timeout: 15_000 }).toMatchObject({ isDefault: false });
});

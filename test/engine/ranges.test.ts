import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { parseUidMap } from '../support/uid-map.js';

let engine: Engine;
let cofferdam: Cofferdam;
beforeAll(async () => {
  engine = await startIsolatingEngine({ version: '28.5' });
  cofferdam = await startCofferdam({ engine });
  await importBusybox(cofferdam.cli);
});
afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
});

test('fifty containers started at once have fifty ranges', async () => {
  const maps = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const name = `c${index}`;
      const run = ['run', '-d', '--name', name, '--network', 'none', 'busybox', 'sleep', '1000'];
      await cofferdam.cli.must(...run);
      return parseUidMap(await cofferdam.cli.must('exec', name, 'cat', '/proc/1/uid_map'));
    }),
  );
  const bases = maps.map(({ outside }) => outside).sort((a, b) => a - b);
  expect(new Set(bases).size).toBe(50);
  for (const [index, base] of bases.entries()) {
    expect(base - (bases[index - 1] ?? 0)).toBeGreaterThanOrEqual(65_536);
  }
  const listed: unknown = JSON.parse((await cofferdam.verb('ranges', '--json')).stdout);
  expect(listed).toHaveProperty('containers.length', 50);
});

test('a removed container gives its range back, and the next one gets a fresh one', async () => {
  const before = parseUidMap(await cofferdam.cli.must('exec', 'c0', 'cat', '/proc/1/uid_map'));
  await cofferdam.cli.must('rm', '-f', 'c0');
  const next = parseUidMap(
    await cofferdam.cli.must('run', '--rm', '--network', 'none', 'busybox', 'cat', '/proc/self/uid_map'),
  );
  expect(next.outside).not.toBe(before.outside);
});

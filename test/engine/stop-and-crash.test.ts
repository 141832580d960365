import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { mountsBelow } from '../support/left-overs.js';
import { parseUidMap } from '../support/uid-map.js';

const offline = ['--network', 'none'] as const;
let engine: Engine;
let cofferdam: Cofferdam;
beforeAll(async () => {
  engine = await startIsolatingEngine({ version: '26.1' });
  cofferdam = await startCofferdam({ engine });
  await importBusybox(cofferdam.cli);
});
afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
});

async function mapOf(name: string): Promise<number> {
  return parseUidMap(await engine.cli.must('exec', name, 'cat', '/proc/1/uid_map')).outside;
}

test('after SIGTERM containers go on, and the bare engine still starts them isolated', async () => {
  await cofferdam.cli.must('run', '-d', '--name', 'goes-on', ...offline, 'busybox', 'sleep', '1000');
  await cofferdam.cli.must('create', '--name', 'later', ...offline, 'busybox', 'sleep', '1000');
  const first = await mapOf('goes-on');
  expect(await cofferdam.stop()).toBe(0);
  expect(await mapOf('goes-on')).toBe(first);
  await engine.cli.must('start', 'later');
  const second = await mapOf('later');
  await engine.cli.must('run', '-d', '--name', 'past-the-proxy', ...offline, 'busybox', 'sleep', '1000');
  const third = await mapOf('past-the-proxy');
  await cofferdam.start();
  await cofferdam.cli.must('run', '-d', '--name', 'after', ...offline, 'busybox', 'sleep', '1000');
  const all = [first, second, third, await mapOf('after')];
  expect(new Set(all).size).toBe(4);
  expect(Math.min(...all)).toBeGreaterThanOrEqual(100_000);
  await engine.cli.must('rm', '-f', 'goes-on', 'later', 'past-the-proxy', 'after');
});

test('kill -9 in the middle of creates loses nothing and leaks nothing', async () => {
  for (let round = 0; round < 4; round += 1) {
    const creates = Array.from({ length: 12 }, (_, index) =>
      cofferdam.docker('create', '--name', `r${round}-${index}`, ...offline, 'busybox', 'sleep', '1000'),
    );
    // The first answer is the sign that creates are at every stage between arrival and answer.
    await Promise.race(creates);
    await cofferdam.kill();
    await Promise.all(creates);
    await cofferdam.start();
  }
  const names = (await engine.cli.must('ps', '--all', '--format', '{{.Names}}')).split('\n').filter(Boolean);
  expect(names.length).toBeGreaterThan(0);
  const started = names.slice(0, 20);
  await engine.cli.must('start', ...started);
  const ranges = await Promise.all(started.map(mapOf));
  expect(new Set(ranges).size).toBe(started.length);
  await cofferdam.cli.must('rm', '-f', ...names);
  await expect
    .poll(async () => JSON.parse((await cofferdam.verb('ranges', '--json')).stdout), { timeout: 30_000 })
    .toMatchObject({ containers: [] });
  expect(mountsBelow(cofferdam.runDir).filter((path) => names.some((name) => path.includes(name)))).toEqual(
    [],
  );
});

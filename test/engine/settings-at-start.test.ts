/** The settings that are taken at start, by what they do. */
import { readdirSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { parseUidMap } from '../support/uid-map.js';

const port = 20_000 + (process.pid % 20_000);
let engine: Engine;
let cofferdam: Cofferdam;

beforeAll(async () => {
  engine = await startIsolatingEngine({ version: '28.5' });
  cofferdam = await startCofferdam({
    engine,
    settings: {
      uidRanges: { first: 300_000, last: 565_535 },
      metrics: { listen: `127.0.0.1:${port}` },
      audit: { maximumFileMegabytes: 1, keepFiles: 1 },
      shutdown: { drainSeconds: 7 },
    },
  });
  await importBusybox(engine.cli);
});
afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
});

test('uidRanges: containers get ids of these, and of no others', async () => {
  const map = ['run', '--rm', '--network=none', 'busybox', 'cat', '/proc/self/uid_map'];
  const bases = [await cofferdam.cli.must(...map), await cofferdam.cli.must(...map)].map(
    (text) => parseUidMap(text).outside,
  );
  for (const base of bases) {
    expect(base).toBeGreaterThanOrEqual(300_000);
    expect(base + 65_535).toBeLessThanOrEqual(565_535);
  }
});

test('metrics.listen: health and metrics are there', async () => {
  const answers = ['healthz', 'readyz', 'metrics'].map((path) => fetch(`http://127.0.0.1:${port}/${path}`));
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200]);
});

test('audit.maximumFileMegabytes and audit.keepFiles: a full file is put aside, and old ones go', async () => {
  const files = () => readdirSync(join(cofferdam.stateDir, 'audit'));
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const ask = () =>
    new Promise<void>((resolve, reject) => {
      get({ socketPath: cofferdam.socket, path: '/_ping', agent }, (answer) => {
        answer.resume().on('end', resolve);
      }).on('error', reject);
    });
  const before = files();
  expect(before).toHaveLength(1);
  while (files().length === 1) await Promise.all(Array.from({ length: 100 }, ask));
  const [first] = files().filter((name) => !before.includes(name));
  while (files().includes(first ?? '')) await Promise.all(Array.from({ length: 100 }, ask));
  expect(files()).toHaveLength(2);
  agent.destroy();
  expect(await cofferdam.verb('audit', '--verify')).toMatchObject({ code: 0 });
});

test('shutdown.drainSeconds: what is under way may take so long', async () => {
  const events = cofferdam.cli.start(['events']);
  await cofferdam.docker('version');
  const stopped = cofferdam.stop();
  await cofferdam.logged('may take 7 seconds more');
  events.kill();
  expect(await stopped).toBe(0);
});

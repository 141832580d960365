import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/record.js';
import { openAudit } from '../../src/audit/sink.js';
import { setup as build } from '../support/build.js';

const program = fileURLToPath(new URL('../../bin/cofferdam', import.meta.url));
let state: string;
beforeAll(build);
beforeEach(() => {
  state = mkdtempSync('/var/tmp/cofferdam-audit-verb-');
});
afterEach(() => rmSync(state, { recursive: true }));

function start(...argv: string[]) {
  return startAs({}, ...argv);
}

function startAs(account: { uid?: number; gid?: number }, ...argv: string[]) {
  const child = spawn(process.execPath, [program, 'audit', '--state', state, ...argv], account);
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  const ended = new Promise<{ code: number | null; out: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, out }));
  });
  const until = async (pattern: RegExp) => {
    while (!pattern.test(out)) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  return { child, ended, until };
}

function record(verdict: 'allowed' | 'denied', uid: number): AuditRecord {
  return {
    event: 'request',
    caller: { uid, gid: uid, pid: 1, groups: [], ...(verdict === 'allowed' && { command: 'curl' }) },
    method: 'POST',
    route: 'container.create',
    path: '/v1.47/containers/create',
    verdict,
    rules: verdict === 'denied' ? ['host-namespaces'] : [],
    reason: verdict === 'denied' ? 'the näme is refused' : undefined,
    generation: 1,
    status: verdict === 'denied' ? 403 : 201,
    milliseconds: 1,
  };
}

async function write(records: AuditRecord[], options = {}) {
  const log = openAudit(state, options);
  for (const entry of records) log.record(entry);
  await log.close();
}

it('shows people one line for each record', async () => {
  await write([record('allowed', 1000), record('denied', 1001)]);
  const { code, out } = await start().ended;
  expect(code).toBe(0);
  expect(out.trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^\S+Z {2}uid 1000 curl {5}allowed {4}201 {2}container\.create/),
    expect.stringMatching(
      /uid 1001 {10}denied {5}403 {2}container\.create .*host-namespaces; the näme is refused$/,
    ),
  ]);
});

it('counts lines after choosing the refusals', async () => {
  await write([record('denied', 1), record('allowed', 2), record('denied', 3), record('allowed', 4)]);
  const { out } = await start('--denied', '--json', '--lines', '1').ended;
  expect(
    out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).caller.uid),
  ).toEqual([3]);
});

it('follows over rotations, and shows nothing twice', async () => {
  await write([record('denied', 1)]);
  const { child, ended, until } = start('--follow', '--json');
  await until(/"sequence":1\b/);
  for (let uid = 2; uid <= 9; uid += 1) {
    await write([record('denied', uid)], { maximumFileBytes: 700 });
    await until(new RegExp(`"sequence":${uid}\\b`));
  }
  child.kill();
  const { out } = await ended;
  expect(
    out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).sequence),
  ).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

it('draws the last records again and again as one screen', async () => {
  await write([record('allowed', 1000)]);
  const watching = start('--watch', '--lines', '1');
  await watching.until(/uid 1000 curl/);
  await write([record('denied', 1001)]);
  await watching.until(/uid 1001 .*refused\n$/);
  watching.child.kill();
  await watching.ended;
});

it('waits for a log that is not there yet', async () => {
  const { child, ended, until } = start('--follow');
  await write([record('allowed', 1)]);
  await until(/uid 1/);
  child.kill();
  await ended;
});

it('does not call a log whole that is not there, or that it may not see', async () => {
  expect((await start('--verify').ended).code).toBe(1);
  await write([record('denied', 1)]);
  chmodSync(state, 0o755);
  chmodSync(join(state, 'audit'), 0o700);
  for (const argv of [['--verify'], []]) {
    const { code, out } = await startAs({ uid: 4711, gid: 4711 }, ...argv).ended;
    expect({ code, out }).toEqual({ code: 1, out: '' });
  }
});

it('verifies the chain, and points at an edit', async () => {
  await write([record('denied', 1), record('allowed', 2), record('allowed', 3)]);
  const whole = await start('--verify').ended;
  expect(whole).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^whole: 3 records, 1 to 3, in 1 files; head [0-9a-f]{64}\n$/),
  });
  const file = join(state, 'audit/audit.log');
  writeFileSync(file, readFileSync(file, 'utf8').replace('"denied"', '"allowed"'));
  const broken = await start('--verify').ended;
  expect(broken.code).toBe(1);
  expect(broken.out).toMatch(/^fault {2}audit\.log:1: the record does not follow/);
});

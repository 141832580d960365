/** Real processes on one real ledger, some of them killed in the middle: no block is anybody else's too. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { openLedger } from '../../src/uid-allocator/ledger.js';
import { setup as build } from '../support/build.js';

const program = fileURLToPath(new URL('hammer-process.mjs', import.meta.url));

beforeAll(() => build());

test('six processes, three of them killed, share nothing and lose nothing', async () => {
  const state = mkdtempSync(join(tmpdir(), 'cofferdam-hammer-'));
  const log = join(state, 'log');
  // One file for all, appended to: its order is the order in which they said so.
  const output = openSync(log, 'a');
  try {
    const run = (name: string, rounds: number) =>
      spawn(process.execPath, [program, state, String(100_000 + 400 * 65_536 - 1), name, String(rounds)], {
        stdio: ['ignore', output, 'inherit'],
      });
    const lasting = ['a', 'b', 'c'].map((name) => run(name, 300));
    const endings = lasting.map((child) => once(child, 'exit'));
    for (const name of ['x', 'y', 'z']) {
      const victim = run(name, 100_000);
      const ended = once(victim, 'exit');
      await sleep(400);
      victim.kill('SIGKILL');
      await ended;
    }
    for (const [code] of await Promise.all(endings)) expect(code).toBe(0);

    const held = new Map<string, string>();
    const lines = readFileSync(log, 'utf8').trim().split('\n');
    expect(lines.length).toBeGreaterThan(900);
    for (const line of lines) {
      const [sign, base = '', id = ''] = line.split(' ');
      if (sign === '-') held.delete(base);
      else {
        expect(held.get(base), `${id} got a block that is taken`).toBeUndefined();
        held.set(base, id);
      }
    }

    const ledger = openLedger(state);
    const containers = ledger.list();
    const engine = containers.map(({ id }) => ({
      id,
      name: id,
      image: '',
      created: 0,
      isolated: true,
      digest: '',
    }));
    expect(ledger.reclaim(engine, Date.now()).problems).toEqual([]);
    // What was said to be held is held, by the same container.
    for (const [base, id] of held) expect(ledger.read(id)?.range.base).toBe(Number(base));
    const { ranges, intents } = ledger.survey();
    const bases = containers.map(({ range }) => range.base);
    expect(new Set(bases).size).toBe(bases.length);
    const pending = intents.map(({ range }) => range.base);
    expect([...ranges].filter((base) => !bases.includes(base) && !pending.includes(base))).toEqual([]);
    expect(readdirSync(join(state, 'ledger/temporary'))).toEqual([]);
  } finally {
    closeSync(output);
    rmSync(state, { recursive: true, force: true });
  }
});

/** What a range costs, with 50,000 of them in use: from the request to the note on disk, and to the record. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ledger, openLedger } from '../../src/uid-allocator/ledger.js';
import { blockAt } from '../../src/uid-allocator/range.js';
import type { IntentRequest } from '../../src/uid-allocator/record.js';
import { value } from '../goals.js';
import type { Measure, Sampler } from '../measure.js';

const request: IntentRequest = { image: 'busybox', digest: '', mounts: [], socketGrant: false };
const each = 200;

function ledgerWith(used: number): Ledger {
  const state = mkdtempSync(join(tmpdir(), 'cofferdam-bench-ledger-'));
  process.once('exit', () => rmSync(state, { recursive: true, force: true }));
  const ledger = openLedger(state);
  for (let index = 0; index < used; index += 1) {
    writeFileSync(join(state, 'ledger/ranges', String(blockAt(index).base)), '');
  }
  return ledger;
}

/** Milliseconds for one range: intent, record, release. */
function sampler(name: string, ledger: Ledger): Sampler {
  let serial = 0;
  return {
    name,
    async sample() {
      let allocating = 0;
      for (let count = 0; count < each; count += 1) {
        const begin = performance.now();
        const intent = ledger.intend(request);
        allocating += performance.now() - begin;
        await intent.durable;
        const id = `bench-${serial++}`;
        ledger.settle(intent, id);
        ledger.release(id);
      }
      return { value: allocating / each };
    },
  };
}

export const allocate: Measure = {
  name: 'allocate',
  title: 'allocating a range of ids',
  unit: 'ms',
  better: 'lower',
  rounds: 9,
  goals: [{ what: 'a range', figure: value('50,000 in use'), unit: 'ms', side: 'at most', must: 1 }],
  prepare: async () => [sampler('none in use', ledgerWith(0)), sampler('50,000 in use', ledgerWith(50_000))],
};

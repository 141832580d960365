// One of several processes that use the same ledger as fast as they can; started by hammer.test.ts, which kills some.
// Prints a line for each container that it may believe to own a block, and one when it has let go of it.
import { writeSync } from 'node:fs';
import { openLedger } from '../../dist/uid-allocator/ledger.js';

const [state, last, name, rounds] = process.argv.slice(2);
const ledger = openLedger(state, { pool: { first: 100_000, last: Number(last) } });
const request = { image: 'busybox', digest: name, mounts: [], socketGrant: false };

for (let round = 0; round < Number(rounds); round++) {
  const id = `${name}-${round}`;
  const { range } = round % 2 === 0 ? ledger.settle(ledger.intend(request), id) : ledger.allocateFor(id);
  writeSync(1, `+ ${range.base} ${id}\n`);
  if (ledger.read(id)?.range.base !== range.base) throw new Error(`${id} lost ${range.base}`);
  if (round % 5 === 0) continue;
  writeSync(1, `- ${range.base} ${id}\n`);
  ledger.release(id);
}

// The serving side of the runtime in a process of its own, so that a test can end it: STATE RUN-DIR.
import { serveRuntime } from '../../../dist/runtime/serve.js';
import { openLedger } from '../../../dist/uid-allocator/ledger.js';

const [stateDir, runDir] = process.argv.slice(2);
const quiet = { info() {}, error() {} };
serveRuntime({ runDir, ledger: openLedger(stateDir), log: quiet });
process.stdout.write('serving\n');
setInterval(() => {}, 60_000);

/**
 * The runtime's preparation without a daemon: started by the launcher for a single `create` or `run` when no
 * cofferdam runs. Prints the folder of the mounts that the launcher takes away after the backend; it fails with
 * exit code 1 after telling why, and then nothing may be started.
 *
 *     node one-shot.js STATE RUN-DIR BACKEND-KIND PID ARGUMENTS-OF-THE-RUNTIME…
 */
import { writeSync } from 'node:fs';
import { openLedger } from '../uid-allocator/ledger.js';
import { logOf, parseCreate } from './arguments.js';
import { prepare } from './prepare.js';
import { describeFailure, writeErrorLog } from './report.js';
import { openStages, sweepStages } from './staging.js';
import { UserNamespaces } from './user-namespaces.js';

async function main(argv: readonly string[]): Promise<number> {
  const [stateDir, runDir, backend, pid, ...runtimeArguments] = argv;
  const namespaces = new UserNamespaces(0);
  try {
    if (stateDir === undefined || runDir === undefined || !/^\d+$/.test(pid ?? '')) {
      throw new TypeError('this program is started by the launcher only');
    }
    const request = parseCreate(runtimeArguments, process.cwd());
    openStages(runDir);
    sweepStages(runDir);
    const prepared = await prepare(
      { ...request, pid: Number(pid), streams: [0, 1, 2] },
      { ledger: openLedger(stateDir), namespaces, runDir, backend: backend === 'sysbox' ? 'sysbox' : 'runc' },
    );
    writeSync(1, `${prepared.stage ?? ''}\n`);
    return 0;
  } catch (problem) {
    const message = describeFailure(problem);
    writeErrorLog(logOf(runtimeArguments), message);
    writeSync(2, `${message}\n`);
    return 1;
  } finally {
    namespaces.close();
  }
}

process.exitCode = await main(process.argv.slice(2));

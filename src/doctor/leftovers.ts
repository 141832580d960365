/**
 * What crashes can leave behind in the ledger: files that can't be believed, and reservations whose process ended.
 */
import { openLedger } from '../uid-allocator/ledger.js';
import { bad, type Check, guarded, ok, warning } from './check.js';

/** Everything about the ledger of a state folder. Reads only. */
export function examineLedger(stateDir: string): Promise<Check[]> {
  const look = (): Check => {
    const { containers, leftovers, ranges, problems } = openLedger(stateDir).survey();
    const [problem] = problems;
    if (problem !== undefined) {
      return bad(
        'ledger',
        `${problems.length} files can't be believed, the first: ${problem.message}`,
        '`cofferdam doctor --repair`; where a container needs the file, remove that first',
      );
    }
    if (leftovers.length > 0) {
      return warning(
        'ledger',
        `${leftovers.length} reservations of processes that ended`,
        'start the daemon: it settles them by itself',
      );
    }
    return ok('ledger', `${containers.length} containers, ${ranges.size} ranges in use`);
  };
  return Promise.all([guarded('ledger', 'look at the state folder and its permissions', look)]);
}

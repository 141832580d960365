/**
 * `cofferdam doctor --repair`: takes away what only a crash of the whole machine can leave. A daemon cleans up after
 * processes by itself; a power cut can also leave files of the ledger torn, and a run folder that isn't a tmpfs as it
 * was. Nothing that a container of the engine may still need is touched, and files of the ledger are moved aside,
 * never deleted. Everything is as it was when it is called twice.
 */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Reconciliation } from '../daemon/reconciliation.js';
import type { EngineClient } from '../engine/client.js';
import { removeDeadFolders } from '../runtime/serve.js';
import { runtimeFolder, sweepStages } from '../runtime/staging.js';
import { openLedger } from '../uid-allocator/ledger.js';
import { type Check, guarded, ok, warning } from './check.js';

export interface RepairOptions {
  readonly stateDir: string;
  readonly runDir: string;
  /** Absent while no engine answers: what needs its word is left. */
  readonly client: EngineClient | undefined;
}

/** Where files of the ledger go that can't be believed. */
export function damagedFolder(stateDir: string): string {
  return join(stateDir, 'damaged');
}

/** Does all repairs. @returns what was done, and what is left to people */
export async function repair(options: RepairOptions): Promise<Check[]> {
  const name = 'repair of the ledger';
  return [
    await guarded('repair of mounts', 'look at the run folder and its permissions', () =>
      repairMounts(options),
    ),
    await guarded(name, 'look at the state folder and its permissions', () => repairLedger(name, options)),
  ];
}

/** Mounts and folders of starts whose processes are gone. */
function repairMounts({ runDir }: RepairOptions): Check {
  if (existsSync(runtimeFolder(runDir))) {
    sweepStages(runDir);
    removeDeadFolders(runDir);
  }
  return ok('repair of mounts', 'nothing is left of containers that have ended');
}

async function repairLedger(name: string, { stateDir, client }: RepairOptions): Promise<Check> {
  const remedy = 'start the engine, then repair again';
  if (client === undefined) return warning(name, 'the engine does not answer: nothing was changed', remedy);
  const containers = new Set((await client.listContainers()).map(({ Id }) => Id));
  const ledger = openLedger(stateDir);
  const [moved, kept]: [string[], string[]] = [[], []];
  for (const { file } of ledger.survey().problems) {
    if (file === undefined) continue;
    const unused = isUnused(file, containers);
    if (unused) moveAside(stateDir, file);
    (unused ? moved : kept).push(file);
  }
  const problems: string[] = [];
  const note = (details: unknown, message?: string): void => {
    problems.push(message ?? String(details));
  };
  const reconciliation = new Reconciliation({
    ...{ client, ledger, log: { info: () => undefined, warn: note, error: note } },
    ...{ onEvent: () => undefined, onGap: () => undefined, onWatching: () => undefined },
  });
  await reconciliation.compare();
  reconciliation.close();
  const aside = moved.length === 0 ? '' : `; moved to ${damagedFolder(stateDir)}: ${moved.join(', ')}`;
  if (kept.length > 0) {
    const what = `${kept.join(', ')} can't be believed, and may be needed${aside}`;
    return warning(name, what, "remove the container (a caller's file: ask for its ids), then repair again");
  }
  if (!reconciliation.done) return warning(name, problems.join('; '), remedy);
  return ok(name, `it agrees with the engine's ${containers.size} containers${aside}`);
}

/**
 * Whether nobody can need a file any more that can't be believed. A caller's own range is on disk for good, and an
 * existing container's may be in use.
 */
function isUnused(file: string, containers: ReadonlySet<string>): boolean {
  const folder = dirname(file);
  if (folder === 'containers') return !containers.has(basename(file));
  return folder === 'intents' || folder === 'ranges';
}

function moveAside(stateDir: string, file: string): void {
  mkdirSync(damagedFolder(stateDir), { recursive: true, mode: 0o700 });
  const name = `${Date.now()}-${file.replaceAll('/', '-')}`;
  renameSync(join(stateDir, 'ledger', file), join(damagedFolder(stateDir), name));
}

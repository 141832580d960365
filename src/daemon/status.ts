/**
 * What the daemon tells of itself: gathered from the engine, the settings and the ledger when somebody asks.
 */
import type { MeasuredState } from '../control/metrics.js';
import { findUnisolated, isReady, type ListedContainer, type Status } from '../control/status.js';
import type { EngineClient } from '../engine/client.js';
import type { PolicyRefresh } from '../policy/refresh.js';
import type { Backend } from '../runtime/backend.js';
import { readChoice } from '../settings/choice.js';
import { describeIssue } from '../settings/problem.js';
import type { SettingsHolder } from '../settings/watch.js';
import type { Ledger } from '../uid-allocator/ledger.js';
import type { PreparationWatch } from './preparation.js';
import type { Reconciliation } from './reconciliation.js';

export interface StatusSources {
  readonly version: string;
  readonly stateDir: string;
  readonly listen: readonly string[];
  readonly engineAddress: string;
  readonly embedded: boolean;
  readonly backend: Backend;
  readonly client: EngineClient;
  readonly settings: SettingsHolder;
  readonly ledger: Ledger;
  readonly preparation: PreparationWatch;
  readonly reconciliation: Reconciliation;
  readonly policy: PolicyRefresh | undefined;
}

const startedAt = Date.now();

/** The daemon in full. Never rejects: what can't be asked is said to be away. */
export async function readStatus(sources: StatusSources): Promise<Status> {
  const { client, preparation } = sources;
  const [version, containers] = await Promise.all([
    client.version().catch((error: Error) => error),
    listed(client).catch(() => []),
  ]);
  const policy = sources.policy?.state;
  const away = version instanceof Error;
  const { runtime, defaultRuntime } = preparation.current;
  return {
    version: sources.version,
    pid: process.pid,
    startedAt,
    listen: sources.listen,
    engine: {
      address: sources.engineAddress,
      embedded: sources.embedded,
      ...(away ? { problem: version.message } : { version: version.Version, apiVersion: version.ApiVersion }),
    },
    runtime: { backend: sources.backend.version, registered: runtime, isDefault: defaultRuntime },
    settings: settingsStatus(sources),
    ranges: sources.ledger.usage(),
    ...(policy === undefined ? {} : { policy }),
    ready: {
      engine: !away,
      runtime,
      ledger: sources.reconciliation.done,
      ...(policy === undefined ? {} : { policy: !policy.overdue }),
    },
    notIsolated: findUnisolated(containers, (id) => hasRange(sources.ledger, id)),
  };
}

/** The same for the metrics, where only numbers count. */
export async function readMeasured(sources: StatusSources, connections: number): Promise<MeasuredState> {
  const status = await readStatus(sources);
  const confirmedAt = status.policy?.confirmedAt;
  return {
    ranges: status.ranges,
    settingsGeneration: status.settings.generation,
    settingsCurrent: status.settings.problem === undefined,
    isolation: status.settings.isolation.value,
    ready: isReady(status.ready),
    connections,
    ...(confirmedAt === undefined ? {} : { policyAgeSeconds: (Date.now() - confirmedAt) / 1000 }),
  };
}

function settingsStatus({ settings, stateDir }: StatusSources): Status['settings'] {
  const { current, file } = settings;
  const isolation = current.enhancedContainerIsolation;
  const choice = isolation.locked ? undefined : readChoice(stateDir);
  return {
    path: file.path,
    source: file.source,
    generation: settings.generation,
    ...(settings.problem === undefined ? {} : { problem: settings.problem }),
    warnings: file.warnings.map((warning) => describeIssue(file.path, warning)),
    isolation: {
      value: isolation.value,
      locked: isolation.locked,
      ...(choice === undefined ? {} : { chosenBy: choice.uid }),
    },
    locked: Object.entries(current).flatMap(([key, section]) =>
      typeof section === 'object' && 'locked' in section && section.locked === true ? [key] : [],
    ),
  };
}

async function listed(client: EngineClient): Promise<ListedContainer[]> {
  const containers = await client.listContainers();
  const inspected = await Promise.all(containers.map(({ Id }) => client.inspectContainer(Id)));
  return inspected.flatMap((found) =>
    found === undefined
      ? []
      : [
          {
            id: found.Id,
            name: found.Name.replace(/^\//, ''),
            runtime: found.HostConfig.Runtime,
            running: found.State.Running,
          },
        ],
  );
}

function hasRange(ledger: Ledger, id: string): boolean {
  try {
    return ledger.read(id) !== undefined;
  } catch {
    // A record that can't be believed starts nothing.
    return false;
  }
}

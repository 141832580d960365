/**
 * What the daemon tells of itself: gathered from the engine, the settings and the ledger when somebody asks.
 */
import { lockedIn } from '../control/isolation.js';
import type { MeasuredState } from '../control/metrics.js';
import { findUnisolated, isReady, type ListedContainer, type Status } from '../control/status.js';
import { connectedProcesses, enginePorts, everyContainer, openTo, socketHolders } from '../engine/bypass.js';
import type { EngineClient } from '../engine/client.js';
import type { ContainerInspect } from '../engine/client-answers.js';
import type { Backend } from '../runtime/backend.js';
import { readChoice } from '../settings/choice.js';
import { warningKeys } from '../settings/modes.js';
import { describeIssue } from '../settings/problem.js';
import type { SettingsHolder } from '../settings/watch.js';
import type { Ledger } from '../uid-allocator/ledger.js';
import type { PolicyFollower } from './policy.js';
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
  readonly policy: PolicyFollower;
}

const startedAt = Date.now();

/** The daemon in full. Never rejects: what can't be asked is said to be away. */
export async function readStatus(sources: StatusSources): Promise<Status> {
  const { client, preparation } = sources;
  const [version, inspected, ready] = await Promise.all([
    client.version().catch((error: Error) => error),
    everyContainer(client).catch(() => []),
    readReadiness(sources),
  ]);
  const policy = sources.policy.state;
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
    ready,
    notIsolated: findUnisolated(inspected.map(listed), (id) => hasRange(sources.ledger, id)),
    past: away ? [] : pastUs(client.socketPath, inspected),
  };
}

/** Whether the daemon can protect what it is asked for: one call to the engine, however many containers there are. */
export async function readReadiness(sources: StatusSources): Promise<Status['ready']> {
  const policy = sources.policy.state;
  return {
    engine: await sources.client.ping(),
    runtime: sources.preparation.current.runtime,
    ledger: sources.reconciliation.done,
    ...(policy === undefined ? {} : { policy: !policy.overdue }),
  };
}

/** What the metrics show: numbers only, and nothing that grows with the number of containers. */
export async function readMeasured(
  sources: StatusSources,
  connections: MeasuredState['connections'],
): Promise<MeasuredState> {
  const { settings, ledger, policy } = sources;
  const confirmedAt = policy.state?.confirmedAt;
  return {
    ranges: ledger.usage(),
    settingsGeneration: settings.generation,
    settingsCurrent: settings.problem === undefined,
    isolation: settings.current.enhancedContainerIsolation.value,
    ready: isReady(await readReadiness(sources)),
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
      ...(isolation.locked ? { lockedIn: lockedIn(settings) } : {}),
      ...(choice === undefined ? {} : { chosenBy: choice.uid }),
    },
    locked: Object.entries(current).flatMap(([key, section]) =>
      typeof section === 'object' && 'locked' in section && section.locked === true ? [key] : [],
    ),
    onlyWarning: warningKeys(current),
  };
}

function listed(found: ContainerInspect): ListedContainer {
  return {
    id: found.Id,
    name: found.Name.replace(/^\//, ''),
    runtime: found.HostConfig.Runtime,
    running: found.State.Running,
  };
}

/** Who reaches the engine without being judged, each in a few words. */
function pastUs(socket: string, containers: readonly ContainerInspect[]): string[] {
  try {
    const accounts = openTo(socket);
    return [
      ...(accounts === undefined ? [] : [`${accounts} may use ${socket}`]),
      ...(connectedProcesses(socket, [process.pid]) ?? []).map(
        ({ pid, command, uid }) => `${command}, process ${pid} of uid ${uid}, is connected to ${socket}`,
      ),
      ...socketHolders(socket, containers).map(
        ({ name, running }) => `the ${running ? 'running' : 'stopped'} container ${name} has ${socket}`,
      ),
      ...(enginePorts(socket) ?? []).map((port) => `dockerd listens on TCP port ${port}`),
    ];
  } catch (error) {
    return [`could not be told: ${error instanceof Error ? error.message : String(error)}`];
  }
}

function hasRange(ledger: Ledger, id: string): boolean {
  try {
    return ledger.read(id) !== undefined;
  } catch {
    // A record that can't be believed starts nothing.
    return false;
  }
}

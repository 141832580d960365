/**
 * `cofferdam doctor`: proves isolation, and says what is missing.
 */

import { askStatus, DaemonUnreachable } from '../control/client.js';
import { isReady, type Status } from '../control/status.js';
import { bad, type Check, ok, warning } from '../doctor/check.js';
import { examineEgress } from '../doctor/egress.js';
import { engineFolders, examineEngine } from '../doctor/engine.js';
import { examineHost } from '../doctor/host.js';
import { examineLedger } from '../doctor/leftovers.js';
import { probeIsolation } from '../doctor/probe.js';
import { examineReach } from '../doctor/reach.js';
import { repair } from '../doctor/repair.js';
import { EngineClient } from '../engine/client.js';
import { engineSearchPath, findEngine } from '../engine/find.js';
import { launcherPaths } from '../runtime/launcher.js';
import { loadSettings } from '../settings/load.js';
import { hostHasInstallation } from './installed-paths.js';
import { type Options, parseOptions, socketPath } from './options.js';
import { colour, complain, print, printJson } from './output.js';
import { egressPortOf } from './setup.js';

async function daemonStatus(runDir: string): Promise<Status | undefined> {
  try {
    return await askStatus(runDir);
  } catch (error) {
    if (error instanceof DaemonUnreachable) return undefined;
    throw error;
  }
}

/** Before an installation: registering the runtime is a part of it. */
function registrationRemedy(status: Status | undefined): string {
  return status !== undefined || hostHasInstallation()
    ? 'run `cofferdam setup`'
    : 'run `cofferdam install`, or without systemd `cofferdam setup`';
}

function examineDaemon(status: Status | undefined): Check[] {
  if (status === undefined) {
    const remedy = hostHasInstallation()
      ? '`systemctl start cofferdam`'
      : 'run `cofferdam install`, or without systemd start `cofferdam run`';
    return [bad('daemon', 'it is not running', remedy)];
  }
  const missing = Object.entries(status.ready).flatMap(([name, ready]) => (ready ? [] : [name]));
  const isolation = status.settings.isolation;
  return [
    isReady(status.ready)
      ? ok('daemon', `version ${status.version}, process ${status.pid}`)
      : bad('daemon', `not ready: ${missing.join(', ')}`, 'see its log'),
    isolation.value
      ? ok('isolation', isolation.locked ? 'on, locked' : 'on, not locked')
      : warning('isolation', 'switched off', '`cofferdam isolation on`, or the settings'),
    status.settings.problem === undefined
      ? ok('settings', status.settings.path)
      : bad('settings', status.settings.problem, '`cofferdam check`'),
    ...(status.settings.onlyWarning.length === 0
      ? []
      : [
          warning(
            'modes',
            `only warns: ${status.settings.onlyWarning.join(', ')}`,
            'have it enforced when it was tried out',
          ),
        ]),
    status.notIsolated.length === 0
      ? ok('containers', 'every one is isolated')
      : warning(
          'containers',
          `not isolated: ${status.notIsolated.map(({ name }) => name).join(', ')}`,
          '`cofferdam status` says why; `cofferdam adopt` isolates them',
        ),
  ];
}

/** The port that the settings file asks for; what is wrong with the file is said elsewhere. */
function wantedEgress(path: string | undefined): number | undefined {
  try {
    return egressPortOf(loadSettings(path));
  } catch {
    return undefined;
  }
}

/** The engine's socket: the daemon's own word, the flag, or what this host has. */
async function engineSocket(options: Options, status: Status | undefined, environment: NodeJS.ProcessEnv) {
  if (status !== undefined) return socketPath(status.engine.address);
  return (await findEngine(options, environment))?.socket;
}

async function examine(options: Options, environment: NodeJS.ProcessEnv): Promise<Check[]> {
  const status = await daemonStatus(options.runDir);
  const socket = await engineSocket(options, status, environment);
  const client = socket === undefined ? undefined : new EngineClient(socket);
  try {
    const repaired = options.switches.has('repair')
      ? await repair({ stateDir: options.state, runDir: options.runDir, client })
      : [];
    const folders = [options.state, ...(client === undefined ? [] : await engineFolders(client))];
    return [
      ...repaired,
      ...(await examineHost(folders, socket === undefined ? undefined : engineSearchPath(socket).path)),
      ...(client === undefined
        ? [
            bad(
              'engine',
              'none was found on this host',
              'name it with --engine, or let `cofferdam run` bring one up',
            ),
          ]
        : [
            ...(await examineEngine(
              client,
              launcherPaths(options.state).launcher,
              registrationRemedy(status),
            )),
            ...(await examineEgress(
              client.socketPath,
              wantedEgress(status?.settings.path ?? options.settings),
            )),
          ]),
      ...examineDaemon(status),
      ...(await examineLedger(options.state)),
      ...(client === undefined ? [] : await examineReach(client, status?.pid)),
      ...(status?.settings.isolation.value === true
        ? await probeIsolation(socketPath(status.listen[0] ?? ''))
        : []),
    ];
  } finally {
    await client?.close();
  }
}

const marks = { ok: ['green', 'ok    '], warning: ['yellow', 'warn  '], bad: ['red', 'not ok'] } as const;

function show(check: Check): void {
  const [tone, mark] = marks[check.outcome];
  print(`${colour(tone, mark)}  ${check.name}: ${check.detail}`);
  if (check.remedy !== undefined) print(`        → ${check.remedy}`);
}

/** The last line: isolation that is switched off works for nobody. */
function conclusion(checks: readonly Check[], failed: number): string {
  if (failed > 0) return colour('red', `${failed} not ok`);
  return checks.some(({ name, outcome }) => name === 'isolation' && outcome === 'warning')
    ? colour('yellow', 'nothing is missing, but isolation is switched off')
    : colour('green', 'isolation works on this host');
}

/** Examines host, engine and daemon; 1 when something that isolation needs is missing. */
export async function doctor(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('doctor', argv, environment);
  if (process.geteuid?.() !== 0) {
    complain('doctor needs root: it tries mounts and looks at the engine');
    return 1;
  }
  const checks = await examine(options, environment);
  const failed = checks.filter(({ outcome }) => outcome === 'bad').length;
  if (options.json) printJson({ healthy: failed === 0, checks });
  else {
    for (const check of checks) show(check);
    print(conclusion(checks, failed));
  }
  return failed === 0 ? 0 : 1;
}

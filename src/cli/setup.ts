/**
 * `cofferdam setup`: registers the runtime with the engine of this host.
 */
import { engineSearchPath, findEngine } from '../engine/find.js';
import {
  applyRegistration,
  planRegistration,
  type RegistrationPlan,
  usesProxy,
} from '../engine/registration.js';
import { installLauncher, launcherPaths } from '../runtime/launcher.js';
import { loadSettings } from '../settings/load.js';
import type { Settings } from '../settings/schema.js';
import { parseOptions } from './options.js';
import { colour, complain, print } from './output.js';

/** What setup would do, for a person: the changed lines of daemon.json, and the environment that builds need. */
export function describePlan(plan: RegistrationPlan): string[] {
  return [
    ...(plan.changes.length === 0
      ? [`${plan.daemonJson} has the runtime already`]
      : [
          `${plan.daemonJson}${plan.before === undefined ? ' (new)' : ''}:`,
          ...plan.changes.map((line) => `  ${line}`),
        ]),
    ...(plan.dropIn
      ? [
          `${plan.dropIn.file} (new):`,
          ...plan.dropIn.text
            .trimEnd()
            .split('\n')
            .map((line) => `  + ${line}`),
        ]
      : []),
  ];
}

/** What a person still has to do with dockerd; nothing when it has everything already. */
export function restartAdvice(plan: RegistrationPlan, proxyPending = false): string[] {
  const missing = plan.missingEnvironment;
  const proxy = (plan.changesProxies && plan.pid !== undefined) || proxyPending || missing.some(isProxy);
  const reasons = [
    ...(missing.some((entry) => !isProxy(entry)) ? ['RUN steps of builds are isolated too'] : []),
    ...(proxy ? ['it connects to registries through cofferdam'] : []),
  ].join(' and ');
  if (reasons === '') return [];
  if (missing.length > 0 && plan.dropIn === undefined)
    return [
      `start dockerd with this in its environment, so that ${reasons}:`,
      ...missing.map((entry) => `  ${entry}`),
    ];
  return [
    `restart dockerd once, so that ${reasons}: systemctl restart ${plan.dropIn?.unit ?? 'docker.service'}`,
  ];
}

function isProxy(entry: string): boolean {
  return /^(HTTPS?|NO)_PROXY=/.test(entry);
}

/** The port of the engine's way out, where the settings in force want one. */
export function egressPortOf({ registryAccess }: Settings): number | undefined {
  return registryAccess.egress ? registryAccess.egressPort : undefined;
}

/** Registers the runtime, or with --dry-run only says what would change. 1 when there is no engine to register with. */
export async function setup(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('setup', argv, environment);
  const daemonJson = options.values.get('daemon-json');
  const engine = await findEngine(options, environment);
  if (engine === undefined && daemonJson === undefined) {
    complain(
      'this host has no running engine. `cofferdam run` brings one up that needs no setup; to prepare the configuration of an engine that is stopped, name it with --daemon-json FILE',
    );
    return 1;
  }
  const egressPort = egressPortOf(loadSettings(options.settings));
  const registration = {
    socket: engine?.socket,
    stateDir: options.state,
    launcher: launcherPaths(options.state).launcher,
    daemonJson,
    egressPort,
  };
  const plan = planRegistration(registration);
  for (const line of describePlan(plan)) print(line);
  if (options.switches.has('dry-run')) return 0;
  // dockerd may start a container the moment it knows the runtime.
  installLauncher({
    stateDir: options.state,
    runDir: options.runDir,
    ...(engine === undefined ? {} : engineSearchPath(engine.socket)),
  });
  await applyRegistration(plan, registration);
  print(
    `${colour('green', 'ok')}  ${engine === undefined ? 'dockerd takes it when it starts' : 'the engine isolates every new container'}`,
  );
  const asked = engine !== undefined && egressPort !== undefined;
  const pending = asked && !(await usesProxy(engine.socket, egressPort));
  for (const line of restartAdvice(plan, pending)) print(line);
  return 0;
}

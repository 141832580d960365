/**
 * `cofferdam setup`: registers the runtime with the engine of this host.
 */
import { engineSearchPath, findEngine } from '../engine/find.js';
import { applyRegistration, planRegistration, type RegistrationPlan } from '../engine/registration.js';
import { installLauncher, launcherPaths } from '../runtime/launcher.js';
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

/** What a person still has to do for isolated builds; nothing when dockerd has the environment already. */
export function buildAdvice(plan: RegistrationPlan): string[] {
  if (plan.missingEnvironment.length === 0) return [];
  if (plan.dropIn)
    return [
      `restart dockerd once, so that RUN steps of builds are isolated too: systemctl restart ${plan.dropIn.unit}`,
    ];
  return [
    'start dockerd with this in its environment, so that RUN steps of builds are isolated too:',
    ...plan.missingEnvironment.map((entry) => `  ${entry}`),
  ];
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
  const registration = {
    socket: engine?.socket,
    stateDir: options.state,
    launcher: launcherPaths(options.state).launcher,
    daemonJson,
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
  for (const line of buildAdvice(plan)) print(line);
  return 0;
}

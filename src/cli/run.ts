/**
 * `cofferdam run`: the daemon. Says on one screen what it protects and how, then logs until it is told to stop.
 */
import { mkdirSync } from 'node:fs';
import { pino } from 'pino';
import { Daemon } from '../daemon/daemon.js';
import { type ChosenEngine, chooseEngine } from '../daemon/engine-choice.js';
import { summary } from '../daemon/summary.js';
import { DaemonJsonProblem } from '../engine/daemon-json.js';
import { planRegistration } from '../engine/registration.js';
import type { Settings } from '../settings/schema.js';
import { SettingsHolder } from '../settings/watch.js';
import { takeActivatedSockets } from '../system/activation.js';
import { supervise } from '../system/supervisor.js';
import { version } from './main.js';
import { type Options, parseOptions } from './options.js';
import { complain, print } from './output.js';
import { describePlan, egressPortOf, restartAdvice } from './setup.js';

/** Runs the daemon until a signal ends it. 0 after SIGTERM or SIGINT; a second one doesn't wait for the drain. */
export async function run(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('run', argv, environment);
  if (process.geteuid?.() !== 0) {
    complain('cofferdam run needs root: it maps ids and mounts file systems for containers');
    return 1;
  }
  const stopped = untilStopped();
  const activated = takeActivatedSockets(environment);
  const log = pino({ level: environment['COFFERDAM_LOG_LEVEL'] || 'info', base: null });
  const settings = new SettingsHolder({ path: options.settings, stateDir: options.state, log });
  // Containers' roots are mounted below these: every range must be able to walk through.
  for (const folder of [options.state, options.runDir]) mkdirSync(folder, { recursive: true, mode: 0o711 });
  const engine = await chooseEngine({
    engine: options.engine,
    listen: options.listen,
    stateDir: options.state,
    runDir: options.runDir,
    environment,
    egressPort: egressPortOf(settings.current),
    onProgress: complain,
  });
  const daemon = new Daemon({
    version: version(),
    listen: options.listen,
    activated,
    stateDir: options.state,
    runDir: options.runDir,
    engine,
    settings,
    log,
  });
  await daemon.start();
  await introduce(daemon, engine, options, settings.current);
  const supervision = supervise(environment);
  supervision.ready(`serves ${options.listen.join(', ')}`);
  process.on('SIGHUP', () => settings.reload());
  await stopped.first;
  supervision.stopping();
  const seconds = settings.current.shutdown.drainSeconds;
  log.info(`stopping: what is under way may take ${seconds} seconds more`);
  await Promise.race([daemon.stop(seconds * 1000), stopped.second]);
  settings.close();
  supervision.close();
  return 0;
}

async function introduce(
  daemon: Daemon,
  engine: ChosenEngine,
  options: Options,
  settings: Settings,
): Promise<void> {
  const lines = summary({
    status: await daemon.status(),
    embedded: engine.embedded,
    backend: engine.backend.version,
    cliPlugins: engine.cliPlugins,
    warnings: engine.warnings,
    setup: engine.embedded ? [] : missingSetup(engine, options, settings),
  });
  for (const line of lines) print(line);
}

/** What `cofferdam setup` would change, and what else a person has to do; none for an engine that is prepared. */
function missingSetup(engine: ChosenEngine, options: Options, settings: Settings): string[] {
  let plan: ReturnType<typeof planRegistration>;
  try {
    plan = planRegistration({
      socket: engine.socket,
      stateDir: options.state,
      launcher: engine.launcher,
      egressPort: egressPortOf(settings),
    });
  } catch (error) {
    if (error instanceof DaemonJsonProblem) return [`  ${error.message}`];
    throw error;
  }
  const advice = restartAdvice(plan).map((line) => `  ${line}`);
  if (plan.changes.length === 0) return advice;
  const flags = [`--engine unix://${engine.socket}`];
  if (options.state !== '/var/lib/cofferdam') flags.push(`--state ${options.state}`);
  if (options.runDir !== '/run/cofferdam') flags.push(`--run-dir ${options.runDir}`);
  return [
    plan.changesRuntime
      ? '  The engine lacks the isolating runtime: containers and builds are refused until it is registered.'
      : '  The engine doesn’t connect through cofferdam as registryAccess.egress asks.',
    `  \`cofferdam setup ${flags.join(' ')}\` changes:`,
    ...describePlan(plan).map((line) => `    ${line}`),
    ...advice,
  ];
}

interface Stop {
  readonly first: Promise<void>;
  readonly second: Promise<void>;
}

/** Listens from the start: a signal while the engine is brought up must not be lost. */
function untilStopped(): Stop {
  let resolveFirst = (): void => undefined;
  let resolveSecond = (): void => undefined;
  const first = new Promise<void>((resolve) => {
    resolveFirst = resolve;
  });
  const second = new Promise<void>((resolve) => {
    resolveSecond = resolve;
  });
  let count = 0;
  const onSignal = (): void => {
    count += 1;
    if (count === 1) resolveFirst();
    else resolveSecond();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return { first, second };
}

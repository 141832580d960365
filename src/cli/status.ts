/**
 * `cofferdam status`: one screen about the daemon, the engine, the settings, and what isn't isolated.
 */
import { askStatus, DaemonUnreachable } from '../control/client.js';
import { isReady, type Status } from '../control/status.js';
import { type Options, parseOptions } from './options.js';
import { age, colour, shortId, show, table } from './output.js';

/** The daemon isn't running, or can't protect what it is asked for. */
const notReadyCode = 3;

function engineLine({ engine }: Status): string {
  const where = engine.embedded ? 'embedded' : engine.address;
  if (engine.version === undefined)
    return `${colour('red', 'does not answer')} at ${where}: ${engine.problem ?? ''}`;
  return `Docker ${engine.version}, API ${engine.apiVersion}, ${where}`;
}

function runtimeLine({ runtime }: Status): string {
  if (!runtime.registered) return `${colour('red', 'not registered')}: run \`cofferdam setup\``;
  return `${runtime.backend}${runtime.isDefault ? ", the engine's default" : `, ${colour('yellow', "not the engine's default")}`}`;
}

function isolationLine({ settings }: Status): string {
  const { value, locked, chosenBy } = settings.isolation;
  const chosen = chosenBy === undefined ? '' : ` (switched by uid ${chosenBy})`;
  return `${value ? colour('green', 'on') : colour('red', 'off')}${chosen}, ${locked ? 'locked' : 'not locked'}`;
}

function policyLines({ policy }: Status): (readonly [string, string])[] {
  if (policy === undefined) return [];
  const confirmed =
    policy.confirmedAt === undefined
      ? 'never fetched'
      : `confirmed ${age(Date.now() - policy.confirmedAt)} ago`;
  const serial = policy.serial === undefined ? '' : `bundle ${policy.serial}, `;
  const late = policy.overdue ? colour('red', ', overdue') : '';
  return [
    ['policy', `${policy.url}: ${serial}${confirmed}${late}`],
    ...(policy.problem === undefined
      ? []
      : [['', colour('red', `the last refresh failed: ${policy.problem}`)] as const]),
  ];
}

function lines(status: Status): (readonly [string, string])[] {
  const { settings } = status;
  const missing = Object.entries(status.ready).flatMap(([name, ready]) => (ready ? [] : [name]));
  return [
    [
      'cofferdam',
      `${status.version}, process ${status.pid}, up ${age(Date.now() - status.startedAt)}, ${
        missing.length === 0 ? colour('green', 'ready') : colour('red', `not ready: ${missing.join(', ')}`)
      }`,
    ],
    ['listens at', status.listen.join(', ')],
    ['engine', engineLine(status)],
    ['runtime', runtimeLine(status)],
    ['isolation', isolationLine(status)],
    ['settings', `${settings.path}, generation ${settings.generation}`],
    ['locked', settings.locked.length === 0 ? 'nothing' : settings.locked.join(', ')],
    ...(settings.onlyWarning.length === 0
      ? []
      : [['only warns', colour('yellow', settings.onlyWarning.join(', '))] as const]),
    ...(settings.problem === undefined
      ? []
      : [['', colour('red', `the newest file is not in force: ${settings.problem}`)] as const]),
    ...policyLines(status),
    ...settings.warnings.map((warning) => ['', colour('yellow', warning)] as const),
    ['ranges', `${status.ranges.inUse} in use, ${status.ranges.free} free`],
  ];
}

function unisolated({ notIsolated }: Status): string[] {
  if (notIsolated.length === 0) return ['', 'Every container is isolated.'];
  const rows = notIsolated.map(({ id, name, running, reason }) => [
    shortId(id),
    name,
    running ? 'running' : 'stopped',
    reason,
  ]);
  return ['', colour('yellow', 'Not isolated:'), table(['CONTAINER', 'NAME', 'STATE', 'WHY'], rows)];
}

function pastLines({ past }: Status): string[] {
  if (past.length === 0) return [];
  return ['', colour('yellow', 'Reach the engine past cofferdam:'), ...past.map((who) => `  ${who}`)];
}

/** The screen, without a newline at its end. */
export function statusScreen(status: Status): string {
  const head = lines(status).map(([name, text]) => `${name.padEnd(12)}${text}`);
  return [...head, ...unisolated(status), ...pastLines(status)].join('\n');
}

async function draw(options: Options): Promise<{ text: string; exitCode: number }> {
  try {
    const status = await askStatus(options.runDir);
    const text = options.json ? JSON.stringify(status, null, 2) : statusScreen(status);
    return { text, exitCode: isReady(status.ready) ? 0 : notReadyCode };
  } catch (error) {
    if (!(error instanceof DaemonUnreachable)) throw error;
    const text = options.json ? JSON.stringify({ problem: error.message }) : error.message;
    return { text, exitCode: notReadyCode };
  }
}

/** Shows the state of things; 0 when the daemon is ready, else 3. */
export function status(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('status', argv, environment);
  return show(options.switches.has('watch'), () => draw(options));
}

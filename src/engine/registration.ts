/**
 * Registers cofferdam's runtime with an engine of this host: its daemon.json, a reload of dockerd, and the
 * environment in which dockerd's BuildKit finds it. What it replaced is noted in the state folder, so that it can be
 * taken back. Must never write to a file whose content it doesn't understand, and never restart dockerd.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { get } from 'node:http';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { fileContains } from '../system/file-search.js';
import {
  DaemonJsonProblem,
  lineChanges,
  mergeProxies,
  mergeRuntime,
  type PreviousEntries,
  previousEntriesSchema,
  runtimeName,
  unmergeRuntime,
  withDefaultRuntime,
} from './daemon-json.js';
import { commandLine, environmentOf, signalProcess, unitOf } from './embedded/process-id.js';
import { engineProxies, proxyAddress, proxyEnvironment } from './engine-proxies.js';
import { daemonFlags, defaultDaemonJson, enginePid } from './find.js';

export interface RegistrationOptions {
  /** The engine's socket; undefined when no engine runs: the file is edited, and dockerd reads it when it starts. */
  readonly socket?: string | undefined;
  readonly stateDir: string;
  /** The runtime launcher; BuildKit's is buildkit/runc beside it. */
  readonly launcher: string;
  /** The file that the person named, else the one that dockerd was started with. */
  readonly daemonJson?: string | undefined;
  readonly systemdFolder?: string;
  /** Port of the proxy through which dockerd is to connect; undefined for none of ours. */
  readonly egressPort?: number | undefined;
}

/** What setup would do, decided without doing anything. */
export interface RegistrationPlan {
  readonly daemonJson: string;
  readonly before: string | undefined;
  readonly after: string;
  readonly previous: PreviousEntries;
  /** Lines of daemon.json that change, marked as in a diff; none when nothing needs to. */
  readonly changes: readonly string[];
  readonly pid: number | undefined;
  /** False when the runtime is registered already, and only the proxy isn't. */
  readonly changesRuntime: boolean;
  /** Whether the proxy in daemon.json changes, which a running dockerd doesn't notice. */
  readonly changesProxies: boolean;
  /** Environment that dockerd needs (for isolated builds, for the proxy before 23.0) and doesn't have yet. */
  readonly missingEnvironment: readonly string[];
  /** A systemd drop-in that gives it that environment, where systemd runs dockerd. */
  readonly dropIn: { readonly file: string; readonly text: string; readonly unit: string } | undefined;
}

const noteSchema = z.object({
  version: z.literal(1),
  daemonJson: z.string(),
  /** False when setup made the file. */
  existed: z.boolean(),
  backup: z.string().optional(),
  /** The text that setup wrote: an untouched file is put back byte for byte. */
  written: z.string(),
  previous: previousEntriesSchema,
  dropIn: z.string().optional(),
});
type Note = z.infer<typeof noteSchema>;

/** Decides what setup would change. Throws DaemonJsonProblem when it can't be done safely. */
export function planRegistration(options: RegistrationOptions): RegistrationPlan {
  const pid = options.socket === undefined ? undefined : enginePid(options.socket);
  const flags = daemonFlags(pid === undefined ? [] : commandLine(pid));
  const [conflict] = flags.conflicting;
  if (conflict) {
    throw new DaemonJsonProblem(
      `dockerd is started with ${conflict}, and refuses the same setting in its configuration file: remove the flag from its command line first`,
    );
  }
  const named = options.daemonJson ?? flags.configFile;
  const daemonJson = existsSync(named) ? realpathSync(named) : named;
  const before = existsSync(daemonJson) ? readFileSync(daemonJson, 'utf8') : undefined;
  const { text: registered, previous } = mergeRuntime(before, options.launcher);
  const knows = pid === undefined || knowsWord(pid, proxyWord);
  const port = options.egressPort;
  const after = mergeProxies(registered, port !== undefined && knows ? engineProxies(port) : undefined);
  const environment = [
    ...buildEnvironment(options.launcher, pid),
    ...(port === undefined || knows
      ? []
      : Object.entries(proxyEnvironment(port)).map((pair) => pair.join('='))),
  ];
  const missing = environment.filter((entry) => pid === undefined || !environmentOf(pid).includes(entry));
  const unit = pid === undefined ? undefined : unitOf(pid);
  return {
    daemonJson,
    before,
    after,
    previous,
    changes: before === after ? [] : lineChanges(before ?? '', after),
    pid,
    changesRuntime: registered !== before,
    changesProxies: after !== registered,
    missingEnvironment: missing,
    // Whole, because it replaces the one of an earlier setup.
    dropIn: unit && missing.length > 0 ? dropIn(unit, environment, options.systemdFolder) : undefined,
  };
}

/** dockerd's BuildKit runs the program in this variable in place of `runc`; before 23.0 it only looks in PATH. */
function buildEnvironment(launcher: string, pid: number | undefined): string[] {
  const folder = join(dirname(launcher), 'buildkit');
  const entries = [`DOCKER_BUILDKIT_RUNC_COMMAND=${join(folder, 'runc')}`];
  if (pid === undefined || knowsWord(pid, 'DOCKER_BUILDKIT_RUNC_COMMAND')) return entries;
  const path = environmentOf(pid)
    .find((entry) => entry.startsWith('PATH='))
    ?.slice('PATH='.length);
  const rest = (path ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
    .split(':')
    .filter((place) => place !== folder);
  return [...entries, `PATH=${[folder, ...rest].join(':')}`];
}

/** What a dockerd that reads `proxies` in daemon.json (23.0 and later) may say; an older one doesn't start with it. */
const proxyWord = 'overriding existing proxy variable';

function knowsWord(pid: number, word: string): boolean {
  return fileContains(`/proc/${pid}/exe`, word);
}

function dropIn(unit: string, environment: readonly string[], folder = '/etc/systemd/system') {
  const lines = environment.map((entry) => `Environment="${entry.replaceAll('%', '%%')}"`);
  return {
    unit,
    file: join(folder, `${unit}.d`, 'cofferdam.conf'),
    text: [
      '# What cofferdam needs in dockerd; removed by `cofferdam unsetup`.',
      '[Service]',
      ...lines,
      '',
    ].join('\n'),
  };
}

/** Does what was planned, and waits until the running engine has the runtime as its default. */
export async function applyRegistration(plan: RegistrationPlan, options: RegistrationOptions): Promise<void> {
  if (plan.changes.length > 0) writeConfiguration(plan, options.stateDir);
  if (plan.dropIn) {
    mkdirSync(dirname(plan.dropIn.file), { recursive: true });
    replaceFile(plan.dropIn.file, plan.dropIn.text);
    rememberDropIn(options.stateDir, plan.dropIn.file);
    execFileSync('systemctl', ['daemon-reload'], { stdio: 'ignore' });
  }
  if (plan.pid === undefined || options.socket === undefined) return;
  signalProcess(plan.pid, 'SIGHUP');
  const socket = options.socket;
  for (let waited = 0; (await engineRuntimes(socket)).defaultRuntime !== runtimeName; waited += 100) {
    if (waited >= 10_000) {
      throw new DaemonJsonProblem(
        `dockerd (process ${plan.pid}) has not taken ${plan.daemonJson}: restart it, or see its log`,
      );
    }
    await sleep(100);
  }
}

function writeConfiguration(plan: RegistrationPlan, stateDir: string): void {
  const earlier = readNote(stateDir);
  // A second setup must not take the first one's work for what was there before.
  const first = earlier?.daemonJson === plan.daemonJson ? earlier : undefined;
  const backup = plan.before === undefined ? undefined : `${plan.daemonJson}.before-cofferdam`;
  if (!first && backup && plan.before !== undefined) replaceFile(backup, plan.before);
  writeNote(stateDir, {
    version: 1,
    daemonJson: plan.daemonJson,
    existed: first?.existed ?? plan.before !== undefined,
    ...(first ? { backup: first.backup } : { backup }),
    written: plan.after,
    previous: first?.previous ?? plan.previous,
    ...(earlier?.dropIn === undefined ? {} : { dropIn: earlier.dropIn }),
  });
  mkdirSync(dirname(plan.daemonJson), { recursive: true });
  replaceFile(plan.daemonJson, plan.after);
}

/** What {@link undoRegistration} did. */
export interface Undone {
  readonly daemonJson: string;
  readonly changes: readonly string[];
  readonly dropIn: string | undefined;
  /** The engine's default runtime afterwards; an engine may keep the old one until it is restarted. */
  readonly defaultRuntime: string | undefined;
}

/** Takes back what setup did. Without a note of it, the runtime is taken out of the file that dockerd reads. */
export async function undoRegistration(options: RegistrationOptions): Promise<Undone> {
  const note = readNote(options.stateDir);
  const pid = options.socket === undefined ? undefined : enginePid(options.socket);
  const running = pid === undefined ? defaultDaemonJson : daemonFlags(commandLine(pid)).configFile;
  const daemonJson = options.daemonJson ?? note?.daemonJson ?? running;
  const before = existsSync(daemonJson) ? readFileSync(daemonJson, 'utf8') : '';
  const own = note?.daemonJson === daemonJson ? note : undefined;
  const after = restored(before, own);
  if (after === undefined) rmSync(daemonJson, { force: true });
  else if (after !== before) replaceFile(daemonJson, after);
  if (own?.backup) rmSync(own.backup, { force: true });
  if (note?.dropIn) removeDropIn(note.dropIn);
  rmSync(notePath(options.stateDir), { force: true });
  let defaultRuntime: string | undefined;
  if (pid !== undefined && options.socket !== undefined) {
    signalProcess(pid, 'SIGHUP');
    // dockerd has no answer to the signal; what it does with it takes milliseconds.
    await sleep(500);
    defaultRuntime = (await engineRuntimes(options.socket)).defaultRuntime;
    if (defaultRuntime === runtimeName)
      defaultRuntime = await resetDefault(pid, options.socket, daemonJson, after);
  }
  return { daemonJson, changes: lineChanges(before, after ?? ''), dropIn: note?.dropIn, defaultRuntime };
}

/**
 * A reload that finds no default runtime in the file leaves the old one (moby daemon/reload.go): so the engine is told
 * of `runc` by a file that says so for a moment, and then has its own text again.
 * @returns the engine's default runtime afterwards
 */
async function resetDefault(
  pid: number,
  socket: string,
  daemonJson: string,
  text: string | undefined,
): Promise<string> {
  try {
    replaceFile(daemonJson, withDefaultRuntime(text, 'runc'));
    signalProcess(pid, 'SIGHUP');
    for (let waited = 0; waited < 10_000; waited += 100) {
      await sleep(100);
      const { defaultRuntime } = await engineRuntimes(socket);
      if (defaultRuntime !== runtimeName) return defaultRuntime;
    }
    return runtimeName;
  } finally {
    if (text === undefined) rmSync(daemonJson, { force: true });
    else replaceFile(daemonJson, text);
  }
}

/** The text before setup; undefined when there was no file. */
function restored(current: string, note: Note | undefined): string | undefined {
  if (current.trim() === '') return current;
  const untouched = note !== undefined && current === note.written;
  if (untouched && !note.existed) return undefined;
  if (untouched && note.backup && existsSync(note.backup)) return readFileSync(note.backup, 'utf8');
  return unmergeRuntime(current, note?.previous ?? { hadRuntimes: true });
}

function removeDropIn(file: string): void {
  rmSync(file, { force: true });
  try {
    rmdirSync(dirname(file));
  } catch {
    // Other drop-ins are in the folder, or it is gone already.
  }
  execFileSync('systemctl', ['daemon-reload'], { stdio: 'ignore' });
}

const runtimesSchema = z.object({
  DefaultRuntime: z.string().default(''),
  Runtimes: z.record(z.string(), z.object({ path: z.string().optional() }).loose()).nullish(),
});

/** The runtimes that a running engine has (`GET /info`): their paths by name, and the default. */
export async function engineRuntimes(
  socketPath: string,
): Promise<{ defaultRuntime: string; paths: ReadonlyMap<string, string> }> {
  const info = runtimesSchema.parse(await engineInfo(socketPath));
  const entries = Object.entries(info.Runtimes ?? {});
  return {
    defaultRuntime: info.DefaultRuntime,
    paths: new Map(entries.map(([name, runtime]) => [name, runtime.path ?? name])),
  };
}

async function engineInfo(socketPath: string): Promise<unknown> {
  const text = await new Promise<string>((resolve, reject) => {
    const request = get(
      { socketPath, path: '/info', agent: false, headers: { host: 'docker' } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(Buffer.concat(chunks).toString()));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
  });
  return JSON.parse(text);
}

const proxySchema = z.object({ HttpProxy: z.string().nullish() });

/** Whether a running engine makes its connections through our proxy (`GET /info`). */
export async function usesProxy(socketPath: string, port: number): Promise<boolean> {
  return proxySchema.parse(await engineInfo(socketPath)).HttpProxy === proxyAddress(port);
}

function notePath(stateDir: string): string {
  return join(stateDir, 'setup.json');
}

function readNote(stateDir: string): Note | undefined {
  const file = notePath(stateDir);
  return existsSync(file) ? noteSchema.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
}

function writeNote(stateDir: string, note: Note): void {
  mkdirSync(stateDir, { recursive: true });
  replaceFile(notePath(stateDir), `${JSON.stringify(note, null, 2)}\n`);
}

function rememberDropIn(stateDir: string, file: string): void {
  const note = readNote(stateDir);
  if (note) writeNote(stateDir, { ...note, dropIn: file });
}

/** Replaces a file in one step; a crash leaves the old content or the new one. Owner and mode stay. */
function replaceFile(path: string, text: string): void {
  const temporary = `${path}.cofferdam-${process.pid}`;
  const descriptor = openSync(temporary, 'w', 0o644);
  try {
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  if (existsSync(path)) {
    const { mode, uid, gid } = statSync(path);
    chmodSync(temporary, mode & 0o7777);
    chownSync(temporary, uid, gid);
  }
  renameSync(temporary, path);
}

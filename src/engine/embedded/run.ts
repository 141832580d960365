/**
 * Starts and stops a dockerd of our own on a folder of its own. Must never touch another engine's state: every
 * folder, socket and pid file that dockerd has a default for is set.
 */
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { get } from 'node:http';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandLine, isRunning, signalProcess } from './process-id.js';
import type { EngineFiles } from './unpack.js';

export interface DaemonOptions {
  readonly files: EngineFiles;
  /** Folder for data-root, log and daemon.json. */
  readonly folder: string;
  /** Folder for exec-root and pid file, which a reboot may clear; `folder` where it isn't given. */
  readonly runFolder?: string;
  readonly socket: string;
  /** The content of daemon.json. */
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Folders that come first in dockerd's PATH. */
  readonly path?: readonly string[];
  /** Program and arguments that start dockerd in other surroundings, for example `nsenter --net=…`. */
  readonly through?: readonly string[];
}

/** The files of a dockerd that was started by {@link startDaemon}. */
export interface DaemonFiles {
  readonly pid: string;
  readonly log: string;
  readonly configuration: string;
  readonly data: string;
  readonly exec: string;
}

export function daemonFiles(folder: string, runFolder = folder): DaemonFiles {
  return {
    pid: join(runFolder, 'dockerd.pid'),
    log: join(folder, 'dockerd.log'),
    configuration: join(folder, 'daemon.json'),
    data: join(folder, 'data'),
    exec: join(runFolder, 'exec'),
  };
}

/** A log larger than this is put aside, as dockerd.log.1, when dockerd is started the next time. */
const logLimit = 16 * 1024 * 1024;

/**
 * Starts dockerd and waits until it answers. It runs on when this process ends. Returns its process id.
 * @throws with the end of dockerd's log when it ends instead, or doesn't answer within two minutes
 */
export async function startDaemon(options: DaemonOptions): Promise<number> {
  const { files, folder, socket } = options;
  const own = daemonFiles(folder, options.runFolder);
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  mkdirSync(dirname(own.pid), { recursive: true, mode: 0o711 });
  mkdirSync(dirname(socket), { recursive: true });
  writeFileSync(own.configuration, `${JSON.stringify(options.configuration, null, 2)}\n`);
  const [program = '', ...argv] = [
    ...(options.through ?? []),
    join(files.bin, 'dockerd'),
    ...['--config-file', own.configuration, '--data-root', own.data, '--exec-root', own.exec],
    ...['--pidfile', own.pid, '--host', `unix://${socket}`],
    ...(options.flags ?? []),
  ];
  if (existsSync(own.log) && statSync(own.log).size > logLimit) renameSync(own.log, `${own.log}.1`);
  const log = openSync(own.log, 'a');
  const start = fstatSync(log).size;
  const child = spawn(program, argv, {
    // A session of its own: a terminal's Ctrl-C is for cofferdam, not for the engine.
    detached: true,
    stdio: ['ignore', log, log],
    env: {
      ...process.env,
      ...options.environment,
      PATH: [...(options.path ?? []), files.bin, process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'].join(
        ':',
      ),
    },
  });
  closeSync(log);
  const ended = new Promise<string>((resolve) => {
    child.on('error', (problem) => resolve(problem.message));
    child.on('exit', (code, signal) => resolve(`it ended with ${signal ?? `exit code ${code}`}`));
  });
  child.unref();
  const failure = await Promise.race([ended, untilAnswering(socket, 120_000)]);
  if (failure === undefined && child.pid !== undefined) return child.pid;
  if (child.pid !== undefined) signalProcess(child.pid, 'SIGTERM');
  const lines = readFileSync(own.log).subarray(start).toString().trim().split('\n');
  throw new Error(`dockerd did not start: ${failure}\n${lines.slice(-12).join('\n')}`);
}

/** Waits until an engine answers on a socket. Returns what is wrong when it doesn't within the time given. */
export async function untilAnswering(socket: string, milliseconds: number): Promise<string | undefined> {
  const deadline = Date.now() + milliseconds;
  while (Date.now() < deadline) {
    if (existsSync(socket) && (await answers(socket))) return undefined;
    await sleep(50);
  }
  return `it does not answer on ${socket}`;
}

/** Whether an engine answers `GET /_ping` on a Unix socket. */
export function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ socketPath, path: '/_ping', agent: false, timeout: 5_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', () => resolve(false));
  });
}

/** The process id in a dockerd's pid file, when it is still that dockerd: the one that was started with this file. */
export function runningDaemon(pidFile: string): number | undefined {
  if (!existsSync(pidFile)) return undefined;
  const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
  if (!Number.isSafeInteger(pid) || !isRunning(pid, 'dockerd')) return undefined;
  return commandLine(pid).includes(pidFile) ? pid : undefined;
}

/** Asks a dockerd to end, and waits for it; kills it when it hasn't ended after `milliseconds`. */
export async function stopDaemon(pid: number, milliseconds = 30_000): Promise<void> {
  signalProcess(pid, 'SIGTERM');
  const deadline = Date.now() + milliseconds;
  while (isRunning(pid, 'dockerd')) {
    if (Date.now() > deadline) signalProcess(pid, 'SIGKILL');
    await sleep(25);
  }
}

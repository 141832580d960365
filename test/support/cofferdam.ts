/**
 * Runs the real `bin/cofferdam run` in front of a test's engine, on state and run folders below the engine's folder
 * (so that the engine's `stop()` cleans up after both).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { statusSchema } from '../../src/control/status.js';
import type { CommandResult } from '../../src/engine/embedded/command.js';
import { runCommand } from '../../src/engine/embedded/command.js';
import { answers } from '../../src/engine/embedded/run.js';
import { detectBackend } from '../../src/runtime/backend.js';
import { writeLauncher } from '../../src/runtime/launcher.js';
import { DockerCli, type DockerRunOptions } from './docker-cli.js';
import { type Engine, type EngineOptions, startEngine } from './engines.js';

const program = fileURLToPath(new URL('../../bin/cofferdam', import.meta.url));
const oneShot = fileURLToPath(new URL('../../dist/runtime/one-shot.js', import.meta.url));

export interface CofferdamOptions {
  /** The engine: its socket, and the folder below which cofferdam keeps its own. */
  readonly engine: Pick<Engine, 'folder' | 'socket'>;
  /** Content of admin-settings.json; without it, isolation on and everything else as shipped. */
  readonly settings?: unknown;
  /** More arguments of `cofferdam run`. */
  readonly argv?: readonly string[];
  /** Options of Node itself. */
  readonly nodeArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly buildx?: '0.13' | '0.29';
}

/** The folders of a cofferdam in front of an engine: known before it runs, for the engine's configuration. */
export function cofferdamFolders(engineFolder: string): {
  state: string;
  run: string;
  launcher: string;
  buildkit: string;
} {
  const state = join(engineFolder, 'cofferdam/state');
  return {
    state,
    run: join(engineFolder, 'cofferdam/run'),
    launcher: join(state, 'bin/cofferdam-runtime'),
    buildkit: join(state, 'bin/buildkit'),
  };
}

/** Starts an engine that has cofferdam's runtime as its default and for builds, as `cofferdam setup` leaves it. */
export function startIsolatingEngine(options: EngineOptions): Promise<Engine> {
  return startEngine({
    ...options,
    defaultRuntime: 'sysbox-runc',
    runtimesIn: (folder) => ({ 'sysbox-runc': cofferdamFolders(folder).launcher, ...options.runtimes }),
    // BuildKit before 23.0 knows no variable and looks in PATH.
    pathIn: (folder) => (options.version === '20.10' ? [cofferdamFolders(folder).buildkit] : []),
    envIn: (folder) => ({
      DOCKER_BUILDKIT_RUNC_COMMAND: join(cofferdamFolders(folder).buildkit, 'runc'),
      ...options.env,
    }),
    // dockerd does not start without the program that BuildKit is to run.
    prepare(folder, files) {
      const { state, run } = cofferdamFolders(folder);
      const backend = detectBackend({ path: files.bin });
      writeLauncher({
        stateDir: state,
        runDir: run,
        node: process.execPath,
        backendBinary: backend.binary,
        oneShot,
      });
      options.prepare?.(folder, files);
    },
  });
}

export class Cofferdam {
  readonly engine: Pick<Engine, 'folder' | 'socket'>;
  readonly socket: string;
  readonly stateDir: string;
  readonly runDir: string;
  readonly settingsFile: string;
  /** The daemon's standard output and error. */
  readonly logFile: string;
  readonly cli: DockerCli;
  readonly #options: CofferdamOptions;
  #child: ChildProcess | undefined;

  constructor(options: CofferdamOptions, cli: DockerCli, socket: string) {
    const { state, run } = cofferdamFolders(options.engine.folder);
    this.engine = options.engine;
    this.socket = socket;
    this.stateDir = state;
    this.runDir = run;
    this.settingsFile = join(options.engine.folder, 'cofferdam/admin-settings.json');
    this.logFile = join(options.engine.folder, 'cofferdam/log');
    this.cli = cli;
    this.#options = options;
  }

  /** Process id while it runs. */
  get pid(): number | undefined {
    return this.#child?.exitCode === null && this.#child.signalCode === null ? this.#child.pid : undefined;
  }

  get log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** Runs the docker command line through the proxy. */
  docker(...argv: string[]): Promise<CommandResult> {
    return this.cli.run(argv);
  }

  dockerWith(options: DockerRunOptions, ...argv: string[]): Promise<CommandResult> {
    return this.cli.run(argv, options);
  }

  /** Runs another verb of the command line with this daemon's folders. */
  verb(name: string, ...argv: string[]): Promise<CommandResult> {
    return runCommand(process.execPath, [program, name, ...this.#flags(), ...argv]);
  }

  /** Starts a verb and kills it after a while, unless it has ended by then. */
  async killVerb(milliseconds: number, name: string, ...argv: string[]): Promise<void> {
    const child = spawn(process.execPath, [program, name, ...this.#flags(), ...argv], { stdio: 'ignore' });
    const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds);
    await once(child, 'exit');
    clearTimeout(timer);
  }

  writeSettings(settings: unknown): void {
    writeFileSync(this.settingsFile, typeof settings === 'string' ? settings : JSON.stringify(settings));
  }

  /** Writes settings that differ from those in force, and waits until they are. */
  async settle(settings: unknown): Promise<void> {
    const earlier = await this.#generation();
    this.writeSettings(settings);
    for (let waited = 0; (await this.#generation()) === earlier; waited += 100) {
      if (waited > 30_000) throw new Error(`the settings were not taken over:\n${this.log}`);
      await sleep(100);
    }
  }

  async #generation(): Promise<number> {
    const { settings } = statusSchema.parse(JSON.parse((await this.verb('status', '--json')).stdout));
    return settings.generation;
  }

  /** Starts the daemon and waits until its socket answers; throws with its output when it ends instead. */
  async start(): Promise<void> {
    const log = openSync(this.logFile, 'a');
    const { nodeArgv = [], argv: more = [] } = this.#options;
    const argv = [...nodeArgv, program, 'run', ...this.#flags(), ...more];
    const child = spawn(process.execPath, argv, {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...this.#options.env },
    });
    closeSync(log);
    this.#child = child;
    for (let waited = 0; !(await answers(this.socket)); waited += 25) {
      if (this.pid === undefined) throw new Error(`cofferdam ended with ${child.exitCode}:\n${this.log}`);
      if (waited > 60_000) throw new Error(`cofferdam does not answer:\n${this.log}`);
      await sleep(25);
    }
  }

  /** Ends the daemon by SIGTERM and returns its exit code. The engine and its containers go on. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  /** Ends the daemon by SIGKILL, as a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends the daemon and forgets its command line. */
  async close(): Promise<void> {
    await this.stop();
    this.cli.close();
  }

  /** Waits until the daemon's log has a text. */
  async logged(text: string | RegExp): Promise<void> {
    for (
      let waited = 0;
      !(typeof text === 'string' ? this.log.includes(text) : text.test(this.log));
      waited += 25
    ) {
      if (waited > 30_000) throw new Error(`${text} was not logged:\n${this.log}`);
      await sleep(25);
    }
  }

  #flags(): string[] {
    return [
      ...['--engine', `unix://${this.engine.socket}`],
      ...['--listen', `unix://${this.socket}`],
      ...['--settings', this.settingsFile],
      ...['--state', this.stateDir],
      ...['--run-dir', this.runDir],
    ];
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (!child || this.pid === undefined) return child?.exitCode ?? null;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
    return child.exitCode;
  }
}

/** Starts cofferdam in front of an engine. */
export async function startCofferdam(options: CofferdamOptions): Promise<Cofferdam> {
  const { run } = cofferdamFolders(options.engine.folder);
  mkdirSync(run, { recursive: true });
  const socket = join(run, 'docker.sock');
  const cli = await DockerCli.open(socket, options.buildx ? { buildx: options.buildx } : {});
  const cofferdam = new Cofferdam(options, cli, socket);
  cofferdam.writeSettings(
    options.settings ?? {
      configurationFileVersion: 2,
      enhancedContainerIsolation: { value: true, locked: false },
    },
  );
  try {
    await cofferdam.start();
  } catch (problem) {
    await cofferdam.close();
    throw problem;
  }
  return cofferdam;
}

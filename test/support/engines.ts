/**
 * Starts real engines for tests: each on a folder of its own, with `stop()` leaving no process, mount or file.
 * A bridged engine lives in a network namespace of its own, so that it can't meet another's bridges or rules.
 */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandResult, mustRun, runCommand } from '../../src/engine/embedded/command.js';
import { signalProcess } from '../../src/engine/embedded/process-id.js';
import { daemonFiles, runningDaemon, startDaemon, stopDaemon } from '../../src/engine/embedded/run.js';
import type { EngineFiles } from '../../src/engine/embedded/unpack.js';
import { isAlive, processIdentity } from '../../src/system/process-identity.js';
import { importBusybox } from './busybox-image.js';
import { DockerCli, type DockerRunOptions } from './docker-cli.js';
import { type EngineVersion, engineFiles } from './engine-releases.js';
import { killProcessesOf, unmountBelow } from './left-overs.js';
import { type NetworkNamespace, openNetworkNamespace } from './network-namespace.js';

export { importBusybox } from './busybox-image.js';
export { type EngineVersion, engineVersions } from './engine-releases.js';

export interface EngineOptions {
  readonly version: EngineVersion;
  /** Where images are kept; `containerd` needs 28.5. */
  readonly store?: 'overlay2' | 'containerd';
  /** Runtimes of daemon.json: name → path. */
  readonly runtimes?: Readonly<Record<string, string>>;
  readonly defaultRuntime?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Folders that come first in dockerd's PATH. */
  readonly path?: readonly string[];
  /** Like `runtimes`, `env` and `path`, for files below the engine's own folder, which is known only later. */
  readonly runtimesIn?: (folder: string) => Readonly<Record<string, string>>;
  readonly envIn?: (folder: string) => Readonly<Record<string, string>>;
  readonly pathIn?: (folder: string) => readonly string[];
  /** Called before dockerd starts for the first time. */
  readonly prepare?: (folder: string, files: EngineFiles) => void;
  /** Bridge networks in a network namespace of the engine's own. Without it there is no bridge at all. */
  readonly network?: boolean;
  /** More keys of daemon.json. */
  readonly configuration?: Readonly<Record<string, unknown>>;
  /** buildx of the engine's command line. */
  readonly buildx?: '0.13' | '0.29';
}

export class Engine {
  readonly version: EngineVersion;
  readonly folder: string;
  readonly socket: string;
  readonly cli: DockerCli;
  readonly #options: EngineOptions;
  readonly #network: NetworkNamespace | undefined;
  #replaced: Readonly<Record<string, unknown>> | undefined;

  constructor(options: EngineOptions, folder: string, cli: DockerCli, network: NetworkNamespace | undefined) {
    this.version = options.version;
    this.folder = folder;
    this.socket = join(folder, 'docker.sock');
    this.cli = cli;
    this.#options = options;
    this.#network = network;
  }

  /** Process id of dockerd, while it runs. */
  get pid(): number | undefined {
    return runningDaemon(this.files.pid);
  }

  /** The engine's daemon.json, data-root, exec-root, log. */
  get files(): ReturnType<typeof daemonFiles> {
    return daemonFiles(this.folder);
  }

  /** Runs the docker command line directly on this engine. */
  docker(...argv: string[]): Promise<CommandResult> {
    return this.cli.run(argv);
  }

  dockerWith(options: DockerRunOptions, ...argv: string[]): Promise<CommandResult> {
    return this.cli.run(argv, options);
  }

  /** Starts dockerd, again after {@link kill} or {@link halt}. */
  async start(): Promise<void> {
    const options = this.#options;
    await startDaemon({
      files: await engineFiles(options.version),
      folder: this.folder,
      socket: this.socket,
      configuration: this.#configuration(),
      flags: options.network ? [] : ['--bridge=none', '--iptables=false'],
      environment: { ...options.env, ...options.envIn?.(this.folder) },
      path: [...(options.path ?? []), ...(options.pathIn?.(this.folder) ?? [])],
      ...(this.#network ? { through: ['nsenter', ...this.#network.enter, '--'] } : {}),
    });
  }

  #configuration(): Readonly<Record<string, unknown>> {
    if (this.#replaced !== undefined) return this.#replaced;
    const { version, store, defaultRuntime, configuration, runtimes, runtimesIn } = this.#options;
    const named = Object.entries({ ...runtimes, ...runtimesIn?.(this.folder) });
    return {
      ...(named.length > 0
        ? { runtimes: Object.fromEntries(named.map(([name, path]) => [name, { path }])) }
        : {}),
      ...(defaultRuntime ? { 'default-runtime': defaultRuntime } : {}),
      ...(version === '20.10' ? {} : { features: { 'containerd-snapshotter': store === 'containerd' } }),
      ...configuration,
    };
  }

  /** Starts dockerd again with another daemon.json. */
  async restartWith(configuration: Readonly<Record<string, unknown>>): Promise<void> {
    await this.halt();
    this.#replaced = configuration;
    await this.start();
  }

  /** Ends dockerd by SIGTERM; its folder stays, so that it can be started again. */
  async halt(): Promise<void> {
    if (this.pid !== undefined) await stopDaemon(this.pid);
  }

  /** Ends dockerd by SIGKILL, as a crash would. */
  async kill(): Promise<void> {
    const pid = this.pid;
    if (pid === undefined) return;
    signalProcess(pid, 'SIGKILL');
    await stopDaemon(pid);
  }

  /** Runs a program in the engine's network namespace: where its published ports are. */
  inNetwork(...argv: string[]): Promise<CommandResult> {
    if (!this.#network) throw new Error('this engine was started without networks');
    return runCommand('nsenter', [...this.#network.enter, '--', ...argv]);
  }

  /** Ends the engine with everything that it started and deletes its folder. */
  async stop(): Promise<void> {
    if (this.pid !== undefined) {
      // dockerd would give each container ten seconds to end by itself.
      const running = (await this.docker('ps', '--quiet')).stdout.split('\n').filter(Boolean);
      if (running.length > 0) await this.docker('kill', ...running);
      await this.halt();
    }
    await killProcessesOf(this.folder);
    await unmountBelow(this.folder);
    this.#network?.close();
    this.cli.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const prefix = 'cofferdam-engine-';

/** Ends the engines of test processes that are gone: a killed run, or a test that never came to its end. */
async function removeAbandonedEngines(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(prefix))) {
    const folder = join(tmpdir(), name);
    const owner = join(folder, 'owner');
    if (!existsSync(owner) || isAlive(JSON.parse(readFileSync(owner, 'utf8')))) continue;
    await killProcessesOf(folder);
    await unmountBelow(folder);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts an engine; its packages are unpacked on first use (a minute), later starts take a second. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  if (options.store === 'containerd' && options.version !== '28.5') {
    throw new Error(`engine ${options.version} is tested without the containerd image store`);
  }
  await removeAbandonedEngines();
  const folder = mkdtempSync(join(tmpdir(), `${prefix}${options.version}-`));
  writeFileSync(join(folder, 'owner'), JSON.stringify(processIdentity(process.pid)));
  // Containers' users must be able to reach mounts below it.
  chmodSync(folder, 0o711);
  const cli = await DockerCli.open(
    join(folder, 'docker.sock'),
    options.buildx ? { buildx: options.buildx } : {},
  );
  const engine = new Engine(options, folder, cli, options.network ? await openNetworkNamespace() : undefined);
  try {
    options.prepare?.(folder, await engineFiles(options.version));
    await engine.start();
  } catch (problem) {
    await engine.stop();
    throw problem;
  }
  return engine;
}

/** Imports the busybox test image into an engine. */
export async function withBusybox(engine: Engine): Promise<Engine> {
  await importBusybox(engine.cli);
  return engine;
}

/** Runs a host program for a test and returns its output; a failure throws. */
export const hostCommand = mustRun;

/**
 * The embedded engine: a dockerd for machines that have none, from Debian's packages, with cofferdam's runtime as
 * its default. It is a process of its own that outlives cofferdam (its containers go on, and start isolated, while
 * cofferdam is stopped); the next start adopts it. Its socket is in a folder that only root may enter.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { engineProxies } from '../engine-proxies.js';
import { withFileLock } from './file-lock.js';
import { embeddedPackages } from './packages.js';
import { findPacketFilters, type PacketFilter } from './packet-filter.js';
import { signalProcess } from './process-id.js';
import {
  type DaemonOptions,
  daemonFiles,
  runningDaemon,
  startDaemon,
  stopDaemon,
  untilAnswering,
} from './run.js';
import { type EngineFiles, engineFilesIn, unpackEngine } from './unpack.js';

export interface EmbeddedEngineOptions {
  /** Folder of the product's state, for example /var/lib/cofferdam. */
  readonly stateDir: string;
  /** Folder for sockets and pid files, for example /run/cofferdam. */
  readonly runDir: string;
  /** The runtime launcher that becomes the engine's default runtime; BuildKit's is buildkit/runc beside it. */
  readonly launcher: string;
  /** Port of the proxy through which the engine is to connect; undefined for none. */
  readonly egressPort?: number | undefined;
  /** Told in words what is being done, for a person who waits. */
  readonly onProgress: (message: string) => void;
}

export interface EmbeddedEngine {
  readonly socket: string;
  readonly version: string;
  readonly pid: number;
  /** True when it was running already. */
  readonly adopted: boolean;
  readonly files: EngineFiles;
  /** What it can't do on this host, in words: one line each. */
  readonly warnings: readonly string[];
  /** Ends it, and its containers with it. */
  stop(): Promise<void>;
}

/** Where the embedded engine of a state folder keeps its things. */
export function embeddedEnginePlaces(stateDir: string, runDir: string) {
  const folder = join(stateDir, 'engine');
  const runFolder = join(runDir, 'engine');
  return {
    folder,
    runFolder,
    socket: join(runFolder, 'docker.sock'),
    packages: join(folder, `debian-${embeddedPackages.suite}`),
    ...daemonFiles(folder, runFolder),
  };
}

/** Unpacks the embedded engine's packages (once) and says where its programs are: runc is the backend's, for one. */
export function unpackEmbeddedEngine(
  stateDir: string,
  onProgress: (message: string) => void,
): Promise<EngineFiles> {
  const { packages } = embeddedEnginePlaces(stateDir, '');
  mkdirSync(dirname(packages), { recursive: true, mode: 0o711 });
  return unpackEngine(embeddedPackages, packages, onProgress);
}

/** The process id of the embedded engine of these folders, while it runs. */
export function embeddedEnginePid(stateDir: string, runDir: string): number | undefined {
  return runningDaemon(embeddedEnginePlaces(stateDir, runDir).pid);
}

/**
 * Makes sure that the embedded engine runs: unpacks it at the first time (about a minute), starts it, or adopts the
 * one that is running.
 * @throws when the packages can't be fetched or dockerd doesn't start; the message has the end of its log
 */
export async function ensureEmbeddedEngine(options: EmbeddedEngineOptions): Promise<EmbeddedEngine> {
  const places = embeddedEnginePlaces(options.stateDir, options.runDir);
  mkdirSync(places.folder, { recursive: true, mode: 0o711 });
  mkdirSync(places.runFolder, { recursive: true, mode: 0o700 });
  return withFileLock(join(places.folder, 'lock'), async () => {
    const running = runningDaemon(places.pid);
    if (running !== undefined) return adopt(options, running);
    const files = await unpackEmbeddedEngine(options.stateDir, options.onProgress);
    options.onProgress('starting the engine');
    const { pid, warnings } = await startWithNetworks(options, files);
    return describe(options, { pid, files, warnings, adopted: false });
  });
}

async function adopt(options: EmbeddedEngineOptions, pid: number): Promise<EmbeddedEngine> {
  const places = embeddedEnginePlaces(options.stateDir, options.runDir);
  const failure = await untilAnswering(places.socket, 60_000);
  if (failure)
    throw new Error(`the embedded engine runs as process ${pid}, but ${failure}: see ${places.log}`);
  const wanted = configurationText(options);
  if (!existsSync(places.configuration) || readFileSync(places.configuration, 'utf8') !== wanted) {
    writeFileSync(places.configuration, wanted);
    // dockerd reads runtimes and default-runtime again (dockerd(8), "configuration reloading").
    signalProcess(pid, 'SIGHUP');
  }
  return describe(options, { pid, files: engineFilesIn(places.packages), warnings: [], adopted: true });
}

function describe(
  options: EmbeddedEngineOptions,
  engine: Pick<EmbeddedEngine, 'pid' | 'files' | 'warnings' | 'adopted'>,
): EmbeddedEngine {
  const { socket } = embeddedEnginePlaces(options.stateDir, options.runDir);
  return { ...engine, socket, version: engine.files.version, stop: () => stopDaemon(engine.pid) };
}

function configuration({ launcher, egressPort }: EmbeddedEngineOptions): Record<string, unknown> {
  return {
    runtimes: { 'sysbox-runc': { path: launcher } },
    'default-runtime': 'sysbox-runc',
    ...(egressPort === undefined ? {} : { proxies: engineProxies(egressPort) }),
  };
}

function configurationText(options: EmbeddedEngineOptions): string {
  return `${JSON.stringify(configuration(options), null, 2)}\n`;
}

/** One way to start dockerd, and what is lost by it. */
interface Attempt {
  readonly flags: readonly string[];
  readonly filter?: PacketFilter;
  readonly warning?: string;
}

/** Starts dockerd with bridge networks where the kernel has what they need, else with the most that works. */
async function startWithNetworks(
  options: EmbeddedEngineOptions,
  files: EngineFiles,
): Promise<{ pid: number; warnings: readonly string[] }> {
  const places = embeddedEnginePlaces(options.stateDir, options.runDir);
  const filters = await findPacketFilters(files, places.runFolder);
  const attempts: Attempt[] = [
    ...filters.map((filter) => ({ flags: [], filter })),
    {
      flags: ['--iptables=false', '--ip6tables=false'],
      warning:
        'this kernel has no usable iptables: containers reach each other, but no ports are published and nothing beyond this host is reached',
    },
    {
      flags: ['--iptables=false', '--ip6tables=false', '--bridge=none'],
      warning: 'this kernel has no bridge networks: containers have only the network `none`',
    },
  ];
  const failures: string[] = [];
  for (const attempt of attempts) {
    try {
      const pid = await startDaemon(daemonOptions(options, files, attempt));
      return { pid, warnings: attempt.warning ? [attempt.warning] : [] };
    } catch (problem) {
      const message = problem instanceof Error ? problem.message : String(problem);
      // Only what bridges and iptables broke gets better without them.
      if (!/network controller|iptables|bridge/i.test(message)) throw problem;
      failures.push(message);
      const tried = attempt.filter ? `with ${attempt.filter.name}` : `with ${attempt.flags.join(' ')}`;
      options.onProgress(`the engine did not start ${tried}; trying with less`);
    }
  }
  throw new Error(failures.join('\n\n'));
}

function daemonOptions(options: EmbeddedEngineOptions, files: EngineFiles, attempt: Attempt): DaemonOptions {
  const { folder, runFolder, socket } = embeddedEnginePlaces(options.stateDir, options.runDir);
  return {
    files,
    folder,
    runFolder,
    socket,
    configuration: configuration(options),
    flags: attempt.flags,
    path: attempt.filter?.path ?? [],
    environment: {
      // dockerd's built-in BuildKit runs this in place of `runc` (moby, builder/builder-next/executor_linux.go).
      DOCKER_BUILDKIT_RUNC_COMMAND: join(dirname(options.launcher), 'buildkit/runc'),
      ...attempt.filter?.environment,
    },
  };
}

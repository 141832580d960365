/**
 * Writes the program that the engine starts as its runtime: a POSIX shell script, because a shell starts in a
 * millisecond and Node in sixty. It makes no decision about a container: `create` and `run` wait for the daemon's
 * word (or a one-shot process's, where no daemon runs), every other known verb goes to the backend at once, and a
 * command line that it doesn't understand starts nothing.
 */
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Backend, type BackendSearch, detectBackend } from './backend.js';
import { replySlots } from './exchange.js';
import { launcherScript } from './launcher-script.js';
import { runtimeFolder } from './staging.js';

export interface LauncherOptions {
  readonly stateDir: string;
  readonly runDir: string;
  /** Absolute path of the Node binary for one-shot processes. */
  readonly node: string;
  /** Absolute path of runc, crun or sysbox-runc. */
  readonly backendBinary: string;
  readonly backend?: 'runc' | 'sysbox';
  /** The compiled one-shot program; beside this module where absent. */
  readonly oneShot?: string;
}

/** Where the launcher is, and the folder that is to come first in an engine's PATH for its builds. */
export function launcherPaths(stateDir: string): {
  readonly launcher: string;
  readonly buildkitFolder: string;
} {
  const folder = join(resolve(stateDir), 'bin');
  return { launcher: join(folder, 'cofferdam-runtime'), buildkitFolder: join(folder, 'buildkit') };
}

/**
 * Writes `<state>/bin/cofferdam-runtime`, and one as `<state>/bin/buildkit/runc` for engines whose BuildKit
 * takes the first `runc` in its PATH. Safe while containers are being started: the file is replaced in one step.
 * @returns the launcher's path
 */
export function writeLauncher(options: LauncherOptions): string {
  const { launcher, buildkitFolder } = launcherPaths(options.stateDir);
  const script = (builds: boolean): string =>
    launcherScript({
      builds,
      backendBinary: options.backendBinary,
      backend: options.backend ?? 'runc',
      stateDir: resolve(options.stateDir),
      runDir: resolve(options.runDir),
      pointer: join(runtimeFolder(options.runDir), 'daemon'),
      node: options.node,
      oneShot: options.oneShot ?? new URL('./one-shot.js', import.meta.url).pathname,
      slots: replySlots,
    });
  for (const [path, builds] of [
    [launcher, false],
    [join(buildkitFolder, 'runc'), true],
  ] as const) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const next = `${path}.new`;
    writeFileSync(next, script(builds));
    chmodSync(next, 0o755);
    renameSync(next, path);
  }
  return launcher;
}

/**
 * Writes the launcher for the backend that this host has, and for the Node that runs this.
 * @returns the launcher's path, and the backend that it hands over to
 * @throws RuntimeRefusal COFFERDAM_RUNTIME_HOST when there is no backend
 */
export function installLauncher(options: Pick<LauncherOptions, 'stateDir' | 'runDir'> & BackendSearch): {
  readonly launcher: string;
  readonly backend: Backend;
} {
  const backend = detectBackend(options);
  const launcher = writeLauncher({
    ...options,
    node: process.execPath,
    backend: backend.kind,
    backendBinary: backend.binary,
  });
  return { launcher, backend };
}

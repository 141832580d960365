/**
 * An engine whose default runtime is ours, served by a daemon in this process, with plain runc beside it as `plain`
 * to compare with.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeLauncher } from '../../../src/runtime/launcher.js';
import { type RuntimeServer, serveRuntime } from '../../../src/runtime/serve.js';
import { type Ledger, openLedger } from '../../../src/uid-allocator/ledger.js';
import type { ApprovedMount } from '../../../src/uid-allocator/record.js';
import { engineFiles } from '../../support/engine-releases.js';
import { type Engine, type EngineOptions, startEngine, withBusybox } from '../../support/engines.js';

const oneShot = new URL('../../../dist/runtime/one-shot.js', import.meta.url).pathname;

/** Faults to inject; see crash.test.ts. */
export interface Faults {
  /** A module that one-shot processes load first, with the engine's folder in COFFERDAM_TEST_FOLDER. */
  readonly preload?: string;
  /** Puts a backend in between that kills as the file `kill-at` says: VERB before|after WHOM DOCKERD-PID. */
  readonly killer?: boolean;
  /** Hands over to the stand-in for Sysbox, which writes what it was given into the engine's folder. */
  readonly sysbox?: boolean;
}

const sysboxStandIn = new URL('sysbox-stand-in.mjs', import.meta.url).pathname;

function writeProgram(path: string, text: string): string {
  writeFileSync(path, `#!/bin/sh\n${text}`, { mode: 0o755 });
  return path;
}

function preloadingNode(folder: string, preload: string): string {
  return writeProgram(
    join(folder, 'node'),
    `COFFERDAM_TEST_FOLDER=${folder} exec ${process.execPath} --import ${preload} "$@"\n`,
  );
}

/** Runs runc, and before or after it kills itself, the process that started it, or dockerd. */
function killingBackend(folder: string, runc: string): string {
  return writeProgram(
    join(folder, 'backend'),
    `plan=${folder}/kill-at verb= when= whom= dockerd=
[ -e "$plan" ] && read -r verb when whom dockerd <"$plan"
case " $* " in *" $verb "*) ;; *) verb= ;; esac
strike() {
  rm "$plan"
  case $whom in
    runtime) kill -9 $$ ;;
    shim) kill -9 $PPID ;;
    dockerd) kill -9 "$dockerd" ;;
  esac
}
[ -n "$verb" ] || exec ${runc} "$@"
[ "$when" = before ] && strike
${runc} "$@"
code=$?
[ "$when" = after ] && strike
exit $code
`,
  );
}

function backendProgram(folder: string, runc: string, faults: Faults): string {
  if (faults.killer === true) return killingBackend(folder, runc);
  if (faults.sysbox !== true) return runc;
  return writeProgram(
    join(folder, 'sysbox-runc'),
    `exec ${process.execPath} ${sysboxStandIn} ${folder} ${runc} "$@"\n`,
  );
}

export class IsolatingEngine {
  #server: RuntimeServer | undefined;
  /** What the server told, newest last. */
  readonly log: { readonly message: string; readonly details: object }[] = [];

  private constructor(
    readonly engine: Engine,
    readonly ledger: Ledger,
    readonly stateDir: string,
    readonly runDir: string,
    readonly backend: 'runc' | 'sysbox',
  ) {}

  static async start(options: EngineOptions, served = true, faults: Faults = {}): Promise<IsolatingEngine> {
    const runc = join((await engineFiles(options.version)).bin, 'runc');
    const launcherOf = (folder: string): string => {
      const [stateDir, runDir] = [join(folder, 'cofferdam/state'), join(folder, 'cofferdam/run')];
      for (const path of [stateDir, runDir]) mkdirSync(path, { recursive: true, mode: 0o711 });
      const node = faults.preload === undefined ? process.execPath : preloadingNode(folder, faults.preload);
      const backend = faults.sysbox === true ? 'sysbox' : 'runc';
      const backendBinary = backendProgram(folder, runc, faults);
      return writeLauncher({ stateDir, runDir, node, backend, backendBinary, oneShot });
    };
    const engine = await startEngine({
      ...options,
      runtimesIn: (folder) => ({ 'sysbox-runc': launcherOf(folder), plain: runc, ...options.runtimes }),
      defaultRuntime: 'sysbox-runc',
      envIn: (folder) => ({ DOCKER_BUILDKIT_RUNC_COMMAND: launcherOf(folder) }),
      ...(options.version === '20.10'
        ? { pathIn: (folder) => [join(launcherOf(folder), '../buildkit')] }
        : {}),
    });
    const stateDir = join(engine.folder, 'cofferdam/state');
    const isolating = new IsolatingEngine(
      engine,
      openLedger(stateDir),
      stateDir,
      join(engine.folder, 'cofferdam/run'),
      faults.sysbox === true ? 'sysbox' : 'runc',
    );
    try {
      if (served) isolating.serve();
      await withBusybox(engine);
    } catch (problem) {
      await isolating.stop();
      throw problem;
    }
    return isolating;
  }

  /** Starts answering launchers. */
  serve(): void {
    const note = (details: object, message: string): void => {
      this.log.push({ message, details });
    };
    this.#server = serveRuntime({
      runDir: this.runDir,
      ledger: this.ledger,
      backend: this.backend,
      log: { info: note, error: note },
    });
  }

  /** Stops answering launchers: they go on with one-shot processes. */
  stopServing(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** `docker …`; throws when it fails. */
  docker(...argv: string[]): Promise<string> {
    return this.engine.cli.must(...argv);
  }

  /** `docker create …` with host paths that are approved for it, as the proxy would note them. */
  async createWith(mounts: readonly ApprovedMount[], ...argv: string[]): Promise<string> {
    const intent = this.ledger.intend({ image: 'busybox', digest: 'test', mounts, socketGrant: false });
    const id = await this.docker('create', ...argv);
    this.ledger.settle(intent, id);
    return id;
  }

  async stop(): Promise<void> {
    const running = (await this.engine.docker('ps', '--all', '--quiet')).stdout.split('\n').filter(Boolean);
    if (running.length > 0) await this.engine.docker('rm', '--force', '--volumes', ...running);
    this.stopServing();
    await this.engine.stop();
  }
}

/** The approval of a host path as it is now. */
export function approvalOf(
  source: string,
  destination: string,
  options: Partial<ApprovedMount> = {},
): ApprovedMount {
  const status = statSync(source, { bigint: true });
  return {
    source,
    destination,
    device: status.dev.toString(),
    inode: status.ino.toString(),
    readOnly: false,
    mapping: 'identity',
    ...options,
  };
}

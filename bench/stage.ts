/**
 * What the benchmarks run on: a real engine with cofferdam and the peers in front of it, a second engine that knows
 * nothing of us, and a null engine with the same in front.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { untilAnswering } from '../src/engine/embedded/run.js';
import {
  type Cofferdam,
  cofferdamFolders,
  startCofferdam,
  startIsolatingEngine,
} from '../test/support/cofferdam.js';
import { DockerCli } from '../test/support/docker-cli.js';
import { engineFiles } from '../test/support/engine-releases.js';
import { type Engine, importBusybox, startEngine } from '../test/support/engines.js';
import { type RunningPeer, startPeers } from './peers.js';
import { processTree } from './process-cost.js';

/** Something that serves the Docker API on a socket; `direct` is the engine itself. */
export interface Target {
  readonly name: string;
  readonly socket: string;
  /** Processes of the proxy; none for `direct`. */
  pids(): number[];
}

/**
 * Changes the settings of a running daemon and waits until it has read them.
 * @returns puts the earlier ones back
 */
export async function changeSettings(cofferdam: Cofferdam, settings: object): Promise<() => Promise<void>> {
  const earlier = readFileSync(cofferdam.settingsFile, 'utf8');
  // The daemon looks for a changed file by itself, once a second at the latest.
  const write = async (next: unknown): Promise<void> => {
    cofferdam.writeSettings(next);
    await sleep(1500);
  };
  await write(settings);
  return () => write(earlier);
}

export const direct = 'direct';
export const us = 'cofferdam';
export const barePump = 'bare pump in Node';

export interface NullStage {
  readonly cofferdam: Cofferdam;
  readonly targets: readonly Target[];
}

export interface RealStage extends NullStage {
  readonly engine: Engine;
}

export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'cofferdam-bench-'));
  #real: Promise<RealStage> | undefined;
  #plain: Promise<Engine> | undefined;
  #null: Promise<NullStage> | undefined;
  readonly #pumps = new Map<string, Promise<Target>>();
  readonly #ends: (() => Promise<void> | void)[] = [];

  readonly #nodeArgv: readonly string[];

  /** @param nodeArgv options for the Node that runs cofferdam's daemon */
  constructor(nodeArgv: readonly string[] = []) {
    this.#nodeArgv = nodeArgv;
    // The daemon's run folder is below it, and containers' users must be able to reach that.
    chmodSync(this.folder, 0o711);
  }

  /** A real engine with our runtime, behind each proxy. */
  real(): Promise<RealStage> {
    this.#real ??= this.#startReal();
    return this.#real;
  }

  /** A real engine without anything of ours. */
  plain(): Promise<Engine> {
    this.#plain ??= this.#startPlain();
    return this.#plain;
  }

  /** The null engine behind each proxy. */
  null(): Promise<NullStage> {
    this.#null ??= this.#startNull();
    return this.#null;
  }

  async #startReal(): Promise<RealStage> {
    const engine = await startIsolatingEngine({ version: '28.5' });
    this.#ends.push(() => engine.stop());
    const cofferdam = await startCofferdam({ engine, nodeArgv: this.#nodeArgv });
    this.#ends.push(() => cofferdam.close());
    await importBusybox(engine.cli);
    return { engine, cofferdam, targets: await this.#behindProxies(engine.socket, cofferdam, 'real') };
  }

  async #startPlain(): Promise<Engine> {
    const engine = await startEngine({ version: '28.5' });
    this.#ends.push(() => engine.stop());
    await importBusybox(engine.cli);
    return engine;
  }

  async #startNull(): Promise<NullStage> {
    const folder = join(this.folder, 'null');
    mkdirSync(folder, { recursive: true });
    const socket = join(folder, 'docker.sock');
    const { launcher, buildkit } = cofferdamFolders(folder);
    // A backend must be there, although nothing is ever started with it.
    const { bin } = await engineFiles('26.1');
    const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` };
    const runc = { DOCKER_BUILDKIT_RUNC_COMMAND: join(buildkit, 'runc') };
    this.#spawnScript('./null-engine.ts', [socket, launcher], { ...env, ...runc });
    const failure = await untilAnswering(socket, 20_000);
    if (failure) throw new Error(`the null engine: ${failure}`);
    const cofferdam = await startCofferdam({ engine: { folder, socket }, env, nodeArgv: this.#nodeArgv });
    this.#ends.push(() => cofferdam.close());
    return { cofferdam, targets: await this.#behindProxies(socket, cofferdam, 'null') };
  }

  /** The same targets and, before the same engine, what does no more than to pass bytes on in Node. */
  async withBarePump({ targets }: NullStage): Promise<Target[]> {
    const [engine] = targets;
    if (engine === undefined) throw new Error('there is no engine');
    const known = this.#pumps.get(engine.socket) ?? this.#startPump(engine.socket);
    this.#pumps.set(engine.socket, known);
    return [...targets, await known];
  }

  async #startPump(engine: string): Promise<Target> {
    const socket = join(this.folder, `pump-${this.#pumps.size}.sock`);
    const child = this.#spawnScript('./bare-pump.ts', [socket, engine]);
    const failure = await untilAnswering(socket, 20_000);
    if (failure) throw new Error(`the bare pump: ${failure}`);
    return { name: barePump, socket, pids: () => (child.pid === undefined ? [] : [child.pid]) };
  }

  /** A program of the benchmark's own; ended with the stage. */
  #spawnScript(script: string, argv: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const program = fileURLToPath(new URL(script, import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', program, ...argv], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
    });
    this.#ends.push(() => {
      child.kill('SIGTERM');
    });
    return child;
  }

  /** A command line for a target's socket; closed with the stage. */
  async cli(target: Target): Promise<DockerCli> {
    const cli = await DockerCli.open(target.socket);
    this.#ends.push(() => cli.close());
    return cli;
  }

  /** Something to undo when everything is over. */
  onClose(end: () => Promise<unknown>): void {
    this.#ends.push(async () => {
      await end();
    });
  }

  async close(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #behindProxies(socket: string, cofferdam: Cofferdam, name: string): Promise<Target[]> {
    const peers: RunningPeer[] = await startPeers(socket, join(this.folder, `peers-${name}`));
    this.#ends.push(() => {
      for (const peer of peers) peer.stop();
    });
    return [
      { name: direct, socket, pids: () => [] },
      {
        name: us,
        socket: cofferdam.socket,
        pids: () => (cofferdam.pid === undefined ? [] : processTree(cofferdam.pid)),
      },
      ...peers,
    ];
  }
}

/**
 * The daemon's side of a container's start: takes launchers' requests from a FIFO in a folder that only root can
 * enter, prepares their bundles, and takes the mounts away again when the backend has no more need of them. It
 * decides nothing itself (prepare.ts does), and nothing here stays for a container that runs.
 */
import {
  closeSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { makeFifo, openFifo } from '../system/fifo.js';
import { namespaceInode } from '../system/namespaces.js';
import { isAlive, type ProcessIdentity, processIdentity } from '../system/process-identity.js';
import {
  type LauncherRequest,
  launcherStreams,
  parseLauncherLine,
  replyLine,
  replySlots,
} from './exchange.js';
import type { RangeSource } from './plan.js';
import { prepare } from './prepare.js';
import { RuntimeRefusal } from './refusal.js';
import { describeFailure, writeErrorLog } from './report.js';
import { closeStages, openStages, runtimeFolder, sweepStage, sweepStages } from './staging.js';
import { handOverPipes } from './standard-streams.js';
import { UserNamespaces } from './user-namespaces.js';

/** How many user namespaces wait for containers that start at the same moment. */
const namespacesAhead = 4;
/** A backend's `create` takes some 50 ms: so soon its mounts are looked after, and later only now and then. */
const soon = { interval: 25, age: 2000 };
const later = 500;
/** A container whose end was announced is gone by then, or its `delete` failed. */
const endGrace = 10_000;
/** Whatever was never announced is found at the first start or end after so long. */
const wholeSweep = 60_000;

/** The part of the ledger that serving uses. */
export interface ServingLedger extends RangeSource {
  release(containerId: string): boolean;
}

export interface RuntimeLog {
  info(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface ServeOptions {
  readonly runDir: string;
  readonly ledger: ServingLedger;
  readonly backend?: 'runc' | 'sysbox';
  readonly log: RuntimeLog;
  /** Told of each preparation, and how long it took. */
  readonly onPrepared?: (outcome: 'prepared' | 'refused', milliseconds: number) => void;
}

export interface RuntimeServer {
  /** Stops answering; launchers go on with one-shot processes. Running containers are not touched. */
  close(): void;
}

/**
 * Starts answering launchers.
 * @throws RuntimeRefusal COFFERDAM_RUNTIME_HOST when the run folder can't hold containers' mounts
 */
export function serveRuntime(options: ServeOptions): RuntimeServer {
  return new Server(options);
}

type PrepareRequest = Extract<LauncherRequest, { kind: 'prepare' }>;
type StreamsRequest = Extract<LauncherRequest, { kind: 'streams' }>;

class Server implements RuntimeServer {
  readonly #options: ServeOptions;
  readonly #folder: string;
  readonly #requests: Socket;
  readonly #replies: number[] = [];
  readonly #namespaces = new UserNamespaces(namespacesAhead);
  /** Build steps whose range ends with their process. */
  readonly #steps = new Map<string, ProcessIdentity>();
  /** Containers whose mounts the backend still needs, and those that end until when. */
  readonly #starting = new Set<string>();
  readonly #ending = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #lastChange = 0;
  #lastWhole = Date.now();
  #closed = false;

  constructor(options: ServeOptions) {
    this.#options = options;
    openStages(options.runDir);
    sweepStages(options.runDir);
    removeDeadFolders(options.runDir);
    const self = processIdentity(process.pid);
    if (self === undefined) throw new RuntimeRefusal('COFFERDAM_RUNTIME_HOST', '/proc is not readable');
    this.#folder = join(runtimeFolder(options.runDir), `daemon-${self.pid}-${self.startTime}`);
    rmSync(this.#folder, { recursive: true, force: true });
    mkdirSync(this.#folder, { mode: 0o700 });
    for (let slot = 0; slot < replySlots; slot += 1) {
      makeFifo(this.#path(`reply-${slot}`));
      this.#replies.push(openFifo(this.#path(`reply-${slot}`)));
    }
    makeFifo(this.#path('requests'));
    this.#requests = new Socket({ fd: openFifo(this.#path('requests')), readable: true, writable: false });
    this.#requests.unref();
    this.#requests.on('error', (problem) => {
      options.log.error(
        { problem },
        'launchers can not be heard any more; they go on with one-shot processes',
      );
      this.close();
    });
    createInterface({ input: this.#requests }).on('line', (line) => this.#onLine(line));
    this.#publish();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    rmSync(join(runtimeFolder(this.#options.runDir), 'daemon'), { force: true });
    this.#requests.destroy();
    for (const descriptor of this.#replies) closeSync(descriptor);
    rmSync(this.#folder, { recursive: true, force: true });
    this.#namespaces.close();
    closeStages(this.#options.runDir);
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  /** From here on launchers find this daemon: the pointer names it in one step. */
  #publish(): void {
    const pointer = join(runtimeFolder(this.#options.runDir), 'daemon');
    writeFileSync(`${pointer}.new`, `${this.#folder}\n`, { mode: 0o600 });
    renameSync(`${pointer}.new`, pointer);
  }

  #onLine(line: string): void {
    const request = parseLauncherLine(line);
    if (request?.kind === 'done') {
      this.#release(request.slot);
    } else if (request?.kind === 'ended') {
      this.#lastChange = Date.now();
      this.#ending.set(request.id, this.#lastChange + endGrace);
      this.#sweepSoon();
    } else if (request?.kind === 'prepare') {
      void this.#prepare(request);
    } else if (request?.kind === 'streams') {
      this.#handOver(request);
    } else {
      this.#options.log.error({ line: line.slice(0, 200) }, 'a launcher wrote a line that is none');
      // Its one-shot process will say what is wrong; without an answer the launcher would wait.
      const [, slot, pid] = /^(?:prepare|streams) (\d{1,3}) (\d+) /.exec(line) ?? [];
      if (slot !== undefined) this.#reply(Number(slot), replyLine(Number(pid), 'elsewhere'));
    }
  }

  async #prepare(request: PrepareRequest): Promise<void> {
    const started = performance.now();
    const { slot, pid, log, id, verb } = request;
    try {
      if (isElsewhere(pid)) {
        this.#reply(slot, replyLine(pid, 'elsewhere'));
        return;
      }
      const { runDir, ledger, backend = 'runc' } = this.#options;
      const owner = processIdentity(pid);
      await prepare(
        {
          ...request,
          log: log || undefined,
          pidFile: request.pidFile || undefined,
          streams: launcherStreams,
        },
        { ledger, runDir, backend, namespaces: this.#namespaces },
      );
      if (verb === 'run' && owner !== undefined) this.#steps.set(id, owner);
      this.#reply(slot, replyLine(pid, 'ok'));
      const milliseconds = Math.round((performance.now() - started) * 100) / 100;
      this.#options.log.info({ id, verb, milliseconds }, 'prepared a container');
      this.#options.onPrepared?.('prepared', milliseconds);
      // A build step needs its mounts to its end, which is announced.
      if (verb === 'create') {
        this.#lastChange = Date.now();
        this.#starting.add(id);
      }
      this.#sweepSoon();
    } catch (problem) {
      const message = describeFailure(problem);
      this.#options.onPrepared?.('refused', performance.now() - started);
      this.#options.log.error({ id, verb, problem }, 'a container was not started');
      writeErrorLog({ log: log || undefined, logFormat: request.logFormat }, message);
      if (verb === 'run') this.#releaseStep(id);
      this.#reply(slot, replyLine(pid, 'failed', message));
    }
  }

  /** What can't be done here the launcher does by itself. */
  #handOver({ slot, pid, base }: StreamsRequest): void {
    let verdict: 'ok' | 'elsewhere' = 'elsewhere';
    try {
      if (!isElsewhere(pid)) {
        handOverPipes(pid, launcherStreams, base);
        verdict = 'ok';
      }
    } catch (problem) {
      this.#options.log.error({ problem }, 'the pipes of an exec could not be handed over');
    }
    this.#reply(slot, replyLine(pid, verdict));
  }

  /** The range of a build step ends with its process; a container's only when the engine destroys it. */
  #releaseStep(id: string): void {
    const { ledger, log } = this.#options;
    try {
      if (ledger.read(id)?.process !== undefined) ledger.release(id);
    } catch (problem) {
      // Reconciliation with the engine's own list takes care of it later.
      log.error({ id, problem }, 'the range of a build step could not be released');
    }
  }

  #reply(slot: number, line: string): void {
    const descriptor = this.#replies[slot];
    if (descriptor !== undefined) writeSync(descriptor, line);
  }

  #release(slot: number): void {
    rmSync(this.#path(`claim-${slot}`), { force: true });
  }

  #sweepSoon(): void {
    clearTimeout(this.#timer);
    const interval = Date.now() - this.#lastChange < soon.age ? soon.interval : later;
    this.#timer = setTimeout(() => this.#sweep(), interval);
    this.#timer.unref();
  }

  #sweep(): void {
    try {
      this.#sweepChanged();
      for (const [id, owner] of this.#steps) {
        if (isAlive(owner)) continue;
        this.#steps.delete(id);
        sweepStage(this.#options.runDir, id);
        this.#releaseStep(id);
      }
      this.#sweepNowAndThen();
      if (this.#starting.size > 0 || this.#ending.size > 0 || this.#steps.size > 0) this.#sweepSoon();
    } catch (problem) {
      this.#options.log.error({ problem }, 'mounts of ended starts could not be taken away yet');
      this.#sweepSoon();
    }
  }

  /** Looks at the containers that start or end just now: how many others there are makes no difference. */
  #sweepChanged(): void {
    const { runDir } = this.#options;
    for (const id of this.#starting) {
      if (sweepStage(runDir, id) !== 'starting') this.#starting.delete(id);
    }
    for (const [id, until] of this.#ending) {
      if (sweepStage(runDir, id) === 'gone' || Date.now() > until) this.#ending.delete(id);
    }
  }

  #sweepNowAndThen(): void {
    if (Date.now() - this.#lastWhole < wholeSweep) return;
    this.#lastWhole = Date.now();
    sweepStages(this.#options.runDir);
    this.#freeDeadSlots();
  }

  /** A launcher that was killed while it waited can't say that it is done. */
  #freeDeadSlots(): void {
    for (const name of readdirSync(this.#folder)) {
      const [, slot] = /^claim-(\d+)$/.exec(name) ?? [];
      if (slot === undefined) continue;
      const pid = Number(readFileSync(this.#path(name), 'latin1'));
      const age = Date.now() - statSync(this.#path(name)).mtimeMs;
      if (processIdentity(pid) === undefined && age > slotGrace) this.#release(Number(slot));
    }
  }
}

/** An engine in namespaces of its own wouldn't see mounts that are made here, and its process ids may be others'. */
function isElsewhere(pid: number): boolean {
  return namespaceInode(pid, 'mnt') !== namespaceInode('self', 'mnt');
}

/** A claim is made and then written: so long it may be empty. */
const slotGrace = 5000;

/** Takes away the folders of daemons that were killed. */
export function removeDeadFolders(runDir: string): void {
  for (const name of readdirSync(runtimeFolder(runDir))) {
    const [, pid, startTime] = /^daemon-(\d+)-(\d+)$/.exec(name) ?? [];
    if (pid === undefined || startTime === undefined) continue;
    if (!isAlive({ pid: Number(pid), startTime })) {
      rmSync(join(runtimeFolder(runDir), name), { recursive: true, force: true });
    }
  }
}

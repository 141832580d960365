/**
 * A world for the ledger's procedures: one disk in memory, an engine with its containers, and processes that do one
 * file operation at a time, in the order that a schedule says, and die where it says.
 */
import type { LedgerDisk } from '../../src/uid-allocator/disk.js';
import { containerFile, rangeFile } from '../../src/uid-allocator/files.js';
import { BlockSet, Pool, type PoolBounds } from '../../src/uid-allocator/pool.js';
import type { Workplace } from '../../src/uid-allocator/procedures.js';
import type { EngineContainer, ProcessView } from '../../src/uid-allocator/reclaim.js';
import {
  callerRecordSchema,
  containerRecordSchema,
  type ProcessIdentity,
  reservationSchema,
} from '../../src/uid-allocator/record.js';
import type { Act, Procedure } from '../../src/uid-allocator/steps.js';

class LockHeld extends Error {}

/** Two names may lead to one content, as links do. */
export class MemoryDisk implements LedgerDisk {
  readonly files = new Map<string, { content: string; modified: number }>();
  lockHolder: string | undefined;
  /** Who does the current operation, and when. */
  actor = '';
  now = 0;

  list(folder: string): string[] {
    return [...this.files.keys()]
      .filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1));
  }
  read(path: string): string | undefined {
    return this.files.get(path)?.content;
  }
  exists(path: string): boolean {
    return this.files.has(path);
  }
  write(path: string, content: string): void {
    if (this.files.has(path)) throw new Error(`${path} exists`);
    this.files.set(path, { content, modified: this.now });
  }
  overwrite(path: string, content: string): void {
    this.files.set(path, { content, modified: this.now });
  }
  rename(from: string, to: string): void {
    const file = this.files.get(from);
    if (!file) throw new Error(`${from} is missing`);
    // rename(2) does nothing when both names lead to the same file.
    if (this.files.get(to) === file) return;
    this.files.set(to, file);
    this.files.delete(from);
  }
  link(from: string, to: string): boolean {
    const file = this.files.get(from);
    if (!file) throw new Error(`${from} is missing`);
    if (this.files.has(to)) return false;
    this.files.set(to, file);
    return true;
  }
  remove(path: string): boolean {
    return this.files.delete(path);
  }
  modified(path: string): number | undefined {
    return this.files.get(path)?.modified;
  }
  lock(): () => void {
    if (this.lockHolder !== undefined) throw new LockHeld();
    const holder = this.actor;
    this.lockHolder = holder;
    return () => {
      if (this.lockHolder === holder) this.lockHolder = undefined;
    };
  }
}

/** A running procedure and what to do with its outcome. */
interface Running {
  readonly advance: (error?: unknown) => Act | undefined;
  pending: Act;
}

export class SimulatedProcess {
  readonly identity: ProcessIdentity;
  readonly #world: World;
  readonly place: Workplace;
  #running: Running | undefined;
  alive = true;

  constructor(world: World, pid: number) {
    this.#world = world;
    this.identity = { pid, startTime: '1', boot: 'boot' };
    this.place = { self: this.identity, pool: world.pool, seen: new BlockSet(), now: () => world.disk.now };
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  /** Begins a procedure; `done` is called in the step that ends it. */
  begin<T>(procedure: Procedure<T>, done: (result: T) => void): void {
    const advance = (error?: unknown): Act | undefined => {
      const next = error === undefined ? procedure.next() : procedure.throw(error);
      if (!next.done) return next.value;
      done(next.value);
      return undefined;
    };
    this.#continue(advance, advance());
  }

  #continue(advance: Running['advance'], act: Act | undefined): void {
    // `done` may have begun the next procedure already.
    if (act) this.#running = { advance, pending: act };
    else if (this.#running?.advance === advance) this.#running = undefined;
  }

  /** Does one file operation; one that waits for the lock is tried again another time. */
  step(): void {
    const running = this.#running;
    if (!running || !this.alive) return;
    const { disk } = this.#world;
    disk.actor = String(this.identity.pid);
    let failure: unknown;
    try {
      running.pending(disk);
    } catch (error) {
      if (error instanceof LockHeld) return;
      failure = error;
    }
    this.#continue(running.advance, running.advance(failure));
  }

  /** kill -9: nothing of it happens any more; the kernel gives its lock back. A write under way stays torn. */
  kill(): void {
    this.alive = false;
    this.#running = undefined;
    const { disk } = this.#world;
    if (disk.lockHolder === String(this.identity.pid)) disk.lockHolder = undefined;
  }
}

export class World implements ProcessView {
  readonly disk = new MemoryDisk();
  readonly pool: Pool;
  readonly processes: SimulatedProcess[] = [];
  readonly containers = new Map<string, EngineContainer>();
  /** Ids whose record was reported to its maker, with the base that was reported. */
  readonly acknowledged = new Map<string, number>();
  #nextPid = 1;

  constructor(bounds: PoolBounds) {
    this.pool = new Pool(bounds);
  }

  spawn(): SimulatedProcess {
    const process = new SimulatedProcess(this, this.#nextPid++);
    this.processes.push(process);
    return process;
  }

  isAlive(identity: ProcessIdentity): boolean {
    return this.processes.some((process) => process.alive && process.identity.pid === identity.pid);
  }

  bootTime(): number {
    return 0;
  }

  /** Who counts as owning a block now: `name → base`; two names with one base are an overlap. */
  owners(): Map<string, number> {
    const owners = new Map<string, number>();
    const tokenOf = (base: number): string | undefined => {
      const text = this.disk.read(rangeFile(base));
      return text === undefined ? undefined : reservationSchema.parse(JSON.parse(text)).token;
    };
    const tokens = new Map<string, string>();
    const note = (name: string, token: string, base: number): void => {
      if (tokenOf(base) !== token) return;
      owners.set(name, base);
      tokens.set(token, name);
    };
    for (const [path, { content }] of this.disk.files) {
      const value: unknown =
        path.startsWith('temporary/') || path === 'cursor' ? undefined : JSON.parse(content);
      if (path.startsWith('containers/')) {
        const record = containerRecordSchema.parse(value);
        note(path, record.token, record.range.base);
      } else if (path.startsWith('callers/')) {
        const record = callerRecordSchema.parse(value);
        note(path, record.token, record.range.base);
      }
    }
    return owners;
  }

  /** @throws Error when two containers or callers have the same block, or one lost the block it was told of */
  check(): void {
    const owners = this.owners();
    const byBase = new Map<number, string>();
    for (const [name, base] of owners) {
      const other = byBase.get(base);
      if (other) throw new Error(`${name} and ${other} share the block ${base}`);
      byBase.set(base, name);
    }
    for (const [id, base] of this.acknowledged) {
      if (owners.get(containerFile(id)) !== base) throw new Error(`container ${id} lost its block ${base}`);
    }
  }
}

/**
 * No overlap and no loss, whatever the order in which processes do their file operations, and wherever they die.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AllocatorError } from '../../src/uid-allocator/errors.js';
import { containerFile } from '../../src/uid-allocator/files.js';
import {
  abandon,
  callerRecordFor,
  recordFor,
  release,
  reserve,
  settle,
} from '../../src/uid-allocator/procedures.js';
import { FIRST_BASE, RANGE_SIZE } from '../../src/uid-allocator/range.js';
import { type EngineContainer, GRACE, type Reclaimed, reclaim } from '../../src/uid-allocator/reclaim.js';
import type { IntentRequest } from '../../src/uid-allocator/record.js';
import { type Procedure, perform, step } from '../../src/uid-allocator/steps.js';
import { type SimulatedProcess, World } from './simulation.js';

/** What a process does next when it is idle. */
type Task =
  | { readonly kind: 'create' }
  | { readonly kind: 'refused-create' }
  | { readonly kind: 'bare-container'; readonly tied: boolean }
  | { readonly kind: 'start'; readonly pick: number }
  | { readonly kind: 'destroy'; readonly pick: number }
  | { readonly kind: 'caller'; readonly uid: number }
  | { readonly kind: 'reclaim' };

type Event =
  | { readonly kind: 'step'; readonly process: number; readonly count: number }
  | { readonly kind: 'kill'; readonly process: number; readonly engineGoesOn: boolean };

const task: fc.Arbitrary<Task> = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Task>({ kind: 'create' }) },
  { weight: 1, arbitrary: fc.constant<Task>({ kind: 'refused-create' }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('bare-container' as const), tied: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('start' as const), pick: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('destroy' as const), pick: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('caller' as const), uid: fc.integer({ min: 1, max: 2 }) }),
  },
  { weight: 2, arbitrary: fc.constant<Task>({ kind: 'reclaim' }) },
);

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('step' as const),
      process: fc.nat(2),
      count: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('kill' as const),
      process: fc.nat(2),
      engineGoesOn: fc.boolean(),
    }),
  },
);

function request(name: string): IntentRequest {
  return { name, image: 'busybox', digest: name, mounts: [], socketGrant: false };
}

/** Drives three processes at a time; one that was killed is replaced by a new one that reclaims first. */
class Story {
  readonly world: World;
  readonly #tasks: Iterator<Task>;
  readonly #crew: SimulatedProcess[];
  /** Creates that the engine has, or may still finish, by their process. */
  readonly #underway = new Map<SimulatedProcess, string>();
  #serial = 0;

  constructor(tasks: readonly Task[], blocks: number) {
    this.world = new World({ first: FIRST_BASE, last: FIRST_BASE + blocks * RANGE_SIZE - 1 });
    this.#tasks = tasks[Symbol.iterator]();
    this.#crew = [this.world.spawn(), this.world.spawn(), this.world.spawn()];
  }

  apply(happening: Event): void {
    const process = this.#crew[happening.process];
    if (!process) throw new Error('no such process');
    if (happening.kind === 'kill') {
      this.#kill(process, happening);
      return;
    }
    for (let count = 0; count < happening.count; count++) {
      this.world.disk.now++;
      if (!process.busy) this.#assign(process);
      process.step();
      this.world.check();
    }
  }

  /** Everything ends, time goes by, and one last process reclaims twice: then nothing may be left over. */
  finish(): Reclaimed {
    for (const process of this.#crew) this.#kill(process, { kind: 'kill', process: 0, engineGoesOn: false });
    this.world.disk.now += GRACE + 1;
    const last = this.world.spawn();
    const containers = [...this.world.containers.values()];
    const at = this.world.disk.now;
    const outcome = perform(this.world.disk, reclaim(last.place, this.world, containers, at));
    this.world.check();
    const again = perform(this.world.disk, reclaim(last.place, this.world, containers, at));
    expect(again).toMatchObject({ released: [], settled: [], abandoned: 0, undecided: 0, problems: [] });
    return outcome;
  }

  #kill(process: SimulatedProcess, how: Event & { kind: 'kill' }): void {
    const name = this.#underway.get(process);
    this.#underway.delete(process);
    process.kill();
    // The engine finishes a create although its client has gone.
    if (name !== undefined && how.engineGoesOn) this.#engineCreates(name);
    const successor = this.world.spawn();
    const position = this.#crew.indexOf(process);
    this.#crew[position] = successor;
    this.#reclaim(successor);
  }

  #engineCreates(name: string): EngineContainer {
    const created = this.world.disk.now;
    const container = { id: `id-${name}`, name, image: 'busybox', created, isolated: true, digest: name };
    this.world.containers.set(container.id, container);
    return container;
  }

  #assign(process: SimulatedProcess): void {
    const next = this.#tasks.next();
    if (next.done) return;
    const { world } = this;
    const { place } = process;
    const todo = next.value;
    const name = `${todo.kind}-${this.#serial++}`;
    if (todo.kind === 'create') this.#create(process, name);
    else if (todo.kind === 'refused-create') {
      process.begin(tolerant(reserve(place, { kind: 'create', request: request(name) })), (reservation) => {
        if (reservation) process.begin(abandon(reservation), () => undefined);
      });
    } else if (todo.kind === 'bare-container') {
      const tied = todo.tied ? process.identity : undefined;
      if (!tied) this.#engineCreates(name);
      const destroyed = (): boolean => !world.containers.has(`id-${name}`);
      process.begin(tolerant(recordFor(place, `id-${name}`, tied), destroyed), (record) => {
        if (record) this.#acknowledge(record.id, record.range.base, tied === undefined);
      });
    } else if (todo.kind === 'start') {
      const container = this.#pick(todo.pick);
      if (!container) return;
      const destroyed = (): boolean => !world.containers.has(container.id);
      process.begin(tolerant(recordFor(place, container.id, undefined), destroyed), (record) => {
        if (record) this.#acknowledge(record.id, record.range.base, true);
      });
    } else if (todo.kind === 'destroy') {
      const container = this.#pick(todo.pick);
      if (!container) return;
      world.containers.delete(container.id);
      world.acknowledged.delete(container.id);
      process.begin(release(container.id), () => undefined);
    } else if (todo.kind === 'caller') {
      process.begin(tolerant(callerRecordFor(place, todo.uid)), () => undefined);
    } else this.#reclaim(process);
  }

  #create(process: SimulatedProcess, name: string): void {
    const { place } = process;
    process.begin(tolerant(reserve(place, { kind: 'create', request: request(name) })), (reservation) => {
      if (!reservation) return;
      this.#underway.set(process, name);
      process.begin(pause(), () => {
        const container = this.#engineCreates(name);
        this.#underway.delete(process);
        process.begin(settle(place, reservation, container.id), (record) => {
          this.#acknowledge(record.id, record.range.base, true);
        });
      });
    });
  }

  #reclaim(process: SimulatedProcess): void {
    const at = this.world.disk.now;
    const containers = [...this.world.containers.values()];
    process.begin(pause(), () => {
      process.begin(reclaim(process.place, this.world, containers, at), () => undefined);
    });
  }

  /** From now on the container may run with this block: it mustn't lose it. */
  #acknowledge(id: string, base: number, lasting: boolean): void {
    if (lasting && this.world.containers.has(id)) this.world.acknowledged.set(id, base);
  }

  #pick(index: number): EngineContainer | undefined {
    const all = [...this.world.containers.values()];
    return all[index % Math.max(1, all.length)];
  }
}

/** Time that goes by outside the ledger, so that other processes come in between. */
function* pause(): Procedure<void> {
  yield* step(() => undefined);
  yield* step(() => undefined);
}

/**
 * A procedure that ends with undefined where the pool is used up, or where it says that a record can't be believed
 * while its container is being destroyed.
 */
function* tolerant<T>(procedure: Procedure<T>, destroyed = (): boolean => false): Procedure<T | undefined> {
  try {
    return yield* procedure;
  } catch (error) {
    if (!(error instanceof AllocatorError)) throw error;
    if (error.code === 'COFFERDAM_RANGES_EXHAUSTED') return undefined;
    if (error.code === 'COFFERDAM_LEDGER_DAMAGED' && destroyed()) return undefined;
    throw error;
  }
}

const tasks = fc.array(task, { minLength: 5, maxLength: 40 });
const events = fc.array(event, { minLength: 20, maxLength: 150 });

describe('any interleaving of three processes that may die at any step', () => {
  test.each([
    ['ample', 40],
    ['scarce', 3],
  ])('%s pool: blocks are never shared, never lost, never leaked', (_, blocks) => {
    fc.assert(
      fc.property(tasks, events, (todo, happenings) => {
        const story = new Story(todo, blocks);
        for (const happening of happenings) story.apply(happening);
        const { unknown } = story.finish();
        const { world } = story;
        // Whatever the engine made on our request is known, with a block of its own.
        expect(unknown.filter((id) => id.startsWith('id-create-'))).toEqual([]);
        const owners = world.owners();
        const living = [...world.containers.keys()].filter((id) => !unknown.includes(id)).map(containerFile);
        expect([...owners.keys()].filter((name) => name.startsWith('containers/')).sort()).toEqual(
          living.sort(),
        );
        // Nothing is left over: each block on disk has its owner, and no other file is there.
        expect(world.disk.list('ranges').map(Number).sort()).toEqual([...owners.values()].sort());
        expect([...world.disk.list('intents'), ...world.disk.list('temporary')]).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});

/**
 * Keeps the ledger in agreement with the engine: ranges are freed when the engine destroys a container, and after
 * every time in which events may have been missed the whole list is compared. It must never free a range on anything
 * but the engine's own word.
 */
import type { Logger } from 'pino';
import type { EngineClient } from '../engine/client.js';
import type { ContainerInspect } from '../engine/client-answers.js';
import { type EngineEvent, type EventWatch, watchEvents } from '../engine/events.js';
import { isolatingRuntime } from '../rules/runtime.js';
import { createDigest } from '../uid-allocator/create-digest.js';
import type { Ledger } from '../uid-allocator/ledger.js';
import { type EngineContainer, GRACE } from '../uid-allocator/reclaim.js';

export interface ReconciliationOptions {
  readonly client: EngineClient;
  readonly ledger: Ledger;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** Told of every event, and of every time in which some may be missed: whoever caches facts listens here. */
  readonly onEvent: (event: EngineEvent) => void;
  readonly onGap: () => void;
  readonly onWatching: () => void;
}

/** How many containers are asked for at once: an engine with thousands must not be flooded. */
const inspectedAtOnce = 16;

export class Reconciliation {
  readonly #options: ReconciliationOptions;
  #events: EventWatch | undefined;
  #again: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #done = false;

  constructor(options: ReconciliationOptions) {
    this.#options = options;
  }

  /** True once the ledger was compared with the engine's list. */
  get done(): boolean {
    return this.#done;
  }

  /** Follows the engine's events, and compares whenever the stream is taken up. */
  start(): void {
    this.#events = watchEvents(
      this.#options.client,
      (event) => this.#onEvent(event),
      () => this.#options.onGap(),
      () => {
        this.#options.onWatching();
        void this.compare();
      },
    );
  }

  /** Compares the ledger with the engine's complete list. Never rejects: an engine that is away is compared later. */
  compare(): Promise<void> {
    this.#running ??= this.#compare()
      .catch((error: unknown) => {
        this.#options.log.warn({ err: error }, 'the ledger could not be compared with the engine yet');
        this.#later(1_000);
      })
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  close(): void {
    clearTimeout(this.#again);
    this.#events?.close();
  }

  #onEvent(event: EngineEvent): void {
    this.#options.onEvent(event);
    if (event.Type !== 'container' || event.Action !== 'destroy') return;
    try {
      this.#options.ledger.release(event.Actor.ID);
    } catch (error) {
      this.#options.log.error({ err: error, container: event.Actor.ID }, 'its range could not be freed');
    }
  }

  async #compare(): Promise<void> {
    const { client, ledger, log } = this.#options;
    const listedAt = Date.now();
    const containers = await listContainers(client);
    const reclaimed = ledger.reclaim(containers, listedAt);
    for (const problem of reclaimed.problems) log.error({ code: problem.code }, problem.message);
    const { released, settled, abandoned, undecided } = reclaimed;
    if (released.length + settled.length + abandoned > 0) {
      log.info(
        { released: released.length, settled: settled.length, abandoned },
        'the ledger agrees with the engine again',
      );
    }
    if (undecided > 0) this.#later(GRACE);
    this.#done = true;
  }

  #later(milliseconds: number): void {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => void this.compare(), milliseconds);
    this.#again.unref();
  }
}

/** Every container of the engine, as reclaim compares them; one that goes meanwhile is left out. */
async function listContainers(client: EngineClient): Promise<EngineContainer[]> {
  const ids = (await client.listContainers()).map(({ Id }) => Id);
  const containers: EngineContainer[] = [];
  for (let from = 0; from < ids.length; from += inspectedAtOnce) {
    const inspected = await Promise.all(
      ids.slice(from, from + inspectedAtOnce).map((id) => client.inspectContainer(id)),
    );
    containers.push(...inspected.flatMap((found) => (found === undefined ? [] : [describe(found)])));
  }
  return containers;
}

function describe(container: ContainerInspect): EngineContainer {
  return {
    id: container.Id,
    name: container.Name.replace(/^\//, ''),
    image: container.Config.Image,
    created: Date.parse(container.Created),
    isolated: container.HostConfig.Runtime === isolatingRuntime,
    digest: createDigest(container.Config.Image, container.HostConfig),
  };
}

/**
 * Looked-up objects of one kind, remembered only while nothing can have changed them unnoticed: the engine's events
 * are being watched, and no request of ours that changes objects of this kind is under way. What doesn't exist is
 * never remembered, because it may exist a moment later.
 */

/** What is found: at once where it is remembered. */
export type Found<Value> = Value | undefined | Promise<Value | undefined>;

/** More objects than this aren't remembered: the oldest make room. */
const mostEntries = 4096;

export class FactMemory<Value> {
  readonly #entries = new Map<string, Value>();
  /** Grows with everything that may have changed an object: an answer asked for before isn't kept. */
  #generation = 0;
  #changes = 0;
  #watching = false;

  /** The remembered value, else what `fetch` finds. */
  find(key: string, fetch: () => Promise<Value | undefined>): Found<Value> {
    return this.#entries.get(key) ?? this.#fetch(key, fetch);
  }

  async #fetch(key: string, fetch: () => Promise<Value | undefined>): Promise<Value | undefined> {
    const generation = this.#generation;
    const found = await fetch();
    const unchanged = generation === this.#generation && this.#changes === 0 && this.#watching;
    if (found !== undefined && unchanged) this.#remember(key, found);
    return found;
  }

  /** Whether this very value would be found again, without asking. */
  holds(key: string, value: Value): boolean {
    return this.#entries.get(key) === value;
  }

  /** Notes what was learnt without asking, of an object that never changes. */
  learn(key: string, value: Value): void {
    if (this.#watching) this.#remember(key, value);
  }

  #remember(key: string, value: Value): void {
    if (this.#entries.size >= mostEntries) {
      for (const [oldest] of this.#entries) {
        this.#entries.delete(oldest);
        break;
      }
    }
    this.#entries.set(key, value);
  }

  /** Something happened to one object, or with no key given, perhaps to any. */
  forget(key?: string): void {
    this.#generation += 1;
    if (key === undefined) this.#entries.clear();
    else this.#entries.delete(key);
  }

  /** A request that changes such objects sets out: until it has ended nothing is remembered. */
  changeBegins(): void {
    this.#changes += 1;
    this.forget();
  }

  changeEnds(): void {
    this.#changes -= 1;
    this.forget();
  }

  /** Whether all events arrive: without them nothing is remembered. */
  watch(watching: boolean): void {
    this.#watching = watching;
    this.forget();
  }
}

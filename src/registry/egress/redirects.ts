/**
 * Where listed registries send their clients: token servers and stores of layers, by registry, kept on disk so that a
 * build finds them after a restart. It must never hold a host that no registry's own answer named.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { KnownRedirects } from './destinations.js';

/** A registry may change its store of layers; what it hasn't said for so long is asked anew. In milliseconds. */
const validFor = 24 * 3600 * 1000;
/** Hosts per registry: more are no store of layers but somebody who wants a hole. */
const hostsMax = 64;

const fileSchema = z.object({
  version: z.literal(1),
  registries: z.record(z.string(), z.record(z.string(), z.number())),
});

export class RedirectMemory implements KnownRedirects {
  readonly #file: string;
  readonly #now: () => number;
  /** Registry → place → when it was said, in milliseconds since the epoch. All are authority keys. */
  readonly #known = new Map<string, Map<string, number>>();

  constructor(file: string, now: () => number = Date.now) {
    this.#file = file;
    this.#now = now;
    this.#load();
  }

  sourcesOf(key: string): readonly string[] {
    const oldest = this.#now() - validFor;
    return [...this.#known].flatMap(([registry, places]) =>
      (places.get(key) ?? 0) > oldest ? [registry] : [],
    );
  }

  /** A registry said, in an answer of its own, that clients go on to these places. */
  learn(registry: string, places: readonly string[]): void {
    const known = this.#known.get(registry) ?? new Map<string, number>();
    const now = this.#now();
    const news = places.filter((place) => place !== registry && now - (known.get(place) ?? 0) > 60_000);
    if (news.length === 0) return;
    for (const place of news) {
      // Behind the others, so that the oldest goes first.
      known.delete(place);
      known.set(place, now);
    }
    while (known.size > hostsMax) known.delete([...known.keys()][0] ?? '');
    this.#known.set(registry, known);
    this.#save();
  }

  #load(): void {
    let parsed: z.infer<typeof fileSchema>;
    try {
      parsed = fileSchema.parse(JSON.parse(readFileSync(this.#file, 'utf8')));
    } catch {
      // Missing or unreadable: everything is learnt anew.
      return;
    }
    for (const [registry, places] of Object.entries(parsed.registries)) {
      this.#known.set(registry, new Map(Object.entries(places)));
    }
  }

  #save(): void {
    const registries = Object.fromEntries(
      [...this.#known].map(([registry, places]) => [registry, Object.fromEntries(places)]),
    );
    mkdirSync(dirname(this.#file), { recursive: true });
    writeFileSync(`${this.#file}.new`, JSON.stringify({ version: 1, registries }), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

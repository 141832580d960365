/**
 * What registries serve for references, remembered on disk: an answer that is known is given at once and renewed in
 * the background, so that no decision waits for a registry that was asked before. An unreachable registry's last known
 * answer stays, with its age. It must never make up an answer: unknown is unknown.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { formatReference, type Reference } from './reference.js';
import type { Manifest } from './registry-client.js';

/** Something that can be asked for manifests; undefined when there is none, an error when it can't be told. */
export interface ManifestSource {
  manifest(reference: Reference): Promise<Manifest | undefined>;
}

export interface KnownManifest {
  /** Absent when the registry said that there is none. */
  readonly manifest: Manifest | undefined;
  /** When the registry was last asked successfully, in milliseconds since the epoch. */
  readonly checkedAt: number;
  /** Why it couldn't be asked since; the answer is the last known one. */
  readonly problem?: string;
}

/** How old an answer may be before it is renewed: as often as Docker Desktop looks, in milliseconds. */
const freshMilliseconds = 120_000;
/** Content by digest never changes. */
const immutableMilliseconds = 30 * 24 * 3600 * 1000;
/** A registry that took longer to fail isn't waited for again until it has answered, in milliseconds. */
const slowMilliseconds = 1000;

const fileSchema = z.object({
  version: z.literal(1),
  entries: z.record(
    z.string(),
    z.object({
      manifest: z.object({ digest: z.string(), manifests: z.array(z.string()) }).nullable(),
      checkedAt: z.number(),
    }),
  ),
});

export class Digests {
  readonly #source: ManifestSource;
  readonly #file: string;
  readonly #now: () => number;
  readonly #onAsked: (outcome: 'answered' | 'failed') => void;
  readonly #known = new Map<string, KnownManifest>();
  readonly #asked = new Map<string, Promise<void>>();
  readonly #tried = new Map<string, number>();
  /** What was waited for in vain. */
  readonly #slow = new Set<string>();

  /**
   * @param file where answers are kept; made when it is missing, replaced when it can't be read
   * @param onAsked told each time that a registry was asked
   */
  constructor(
    source: ManifestSource,
    file: string,
    now: () => number = Date.now,
    onAsked: (outcome: 'answered' | 'failed') => void = () => undefined,
  ) {
    this.#onAsked = onAsked;
    this.#source = source;
    this.#file = file;
    this.#now = now;
    this.#load();
  }

  /**
   * What the registry serves for this reference, as far as is known; undefined when it was never reached.
   * Never rejects.
   */
  async lookUp(reference: Reference): Promise<KnownManifest | undefined> {
    const key = formatReference(reference);
    const known = this.#known.get(key);
    const immutable = reference.digest !== undefined && known?.manifest !== undefined;
    const limit = immutable ? immutableMilliseconds : freshMilliseconds;
    if (known === undefined) {
      const asking = this.#renew(key, reference);
      if (!this.#slow.has(key)) await asking;
    } else if (this.#now() - known.checkedAt > limit) void this.#renew(key, reference);
    return this.#known.get(key);
  }

  /** Waits for whatever is being renewed. */
  async settled(): Promise<void> {
    await Promise.all(this.#asked.values());
  }

  #renew(key: string, reference: Reference): Promise<void> {
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    // A registry that doesn't answer is not asked again with every request.
    if (this.#now() - (this.#tried.get(key) ?? Number.NEGATIVE_INFINITY) < 5000) return Promise.resolve();
    this.#tried.set(key, this.#now());
    const asking = this.#ask(key, reference).finally(() => this.#asked.delete(key));
    this.#asked.set(key, asking);
    return asking;
  }

  async #ask(key: string, reference: Reference): Promise<void> {
    const began = this.#now();
    try {
      const manifest = await this.#source.manifest(reference);
      this.#slow.delete(key);
      this.#known.set(key, { manifest, checkedAt: this.#now() });
      this.#save();
      this.#onAsked('answered');
    } catch (error) {
      this.#onAsked('failed');
      if (this.#now() - began > slowMilliseconds) this.#slow.add(key);
      const known = this.#known.get(key);
      const problem = error instanceof Error ? error.message : String(error);
      if (known !== undefined) this.#known.set(key, { ...known, problem });
    }
  }

  #load(): void {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch {
      return;
    }
    const parsed = fileSchema.safeParse(parse(text));
    for (const [key, { manifest, checkedAt }] of Object.entries(parsed.data?.entries ?? {})) {
      this.#known.set(key, { manifest: manifest ?? undefined, checkedAt });
    }
  }

  #save(): void {
    const entries = Object.fromEntries(
      [...this.#known].map(([key, { manifest, checkedAt }]) => [
        key,
        { manifest: manifest ?? null, checkedAt },
      ]),
    );
    mkdirSync(dirname(this.#file), { recursive: true });
    writeFileSync(`${this.#file}.new`, JSON.stringify({ version: 1, entries }), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

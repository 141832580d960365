/**
 * Fetches the policy bundle again and again, and keeps the last good one on disk. A refresh that fails, for whatever
 * reason, changes nothing: the last bundle stays in force, and the failure is logged, audited and shown.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Settings } from '../settings/schema.js';
import { type Bundle, BundleProblem, openBundle } from './bundle.js';
import { type PolicySource, policySource } from './source.js';

const firstRetryMilliseconds = 15_000;
const minute = 60_000;
const hour = 60 * minute;

const cacheSchema = z.object({
  url: z.string(),
  text: z.string(),
  /** By what the source knows it again. */
  mark: z.string().optional(),
  /** When the server last confirmed it, in milliseconds since the epoch. */
  confirmedAt: z.number(),
});
type Cache = z.infer<typeof cacheSchema>;

/** How the bundle stands. */
export interface PolicyState {
  readonly url: string;
  readonly serial?: number;
  readonly confirmedAt?: number;
  /** Why the last refresh failed; absent after a good one. */
  readonly problem?: string;
  /** True when the last good refresh is longer ago than the grace period. */
  readonly overdue: boolean;
}

export interface PolicyOptions {
  readonly settings: Settings['policy'];
  readonly stateDir: string;
  /** Told of each bundle that is to be in force, the cached one first. */
  readonly onBundle: (bundle: Bundle) => void;
  readonly onFailure: (problem: string) => void;
  /** Told of every attempt, for the metrics. */
  readonly onRefresh?: (outcome: 'taken' | 'unchanged' | 'failed') => void;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Waits before the first retry; doubled by each failure, up to the refresh interval. */
  readonly firstRetry?: number;
}

export class PolicyRefresh {
  readonly #options: PolicyOptions;
  readonly #source: PolicySource;
  readonly #startedAt = Date.now();
  #cache: Cache | undefined;
  #serial: number | undefined;
  #problem: string | undefined;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PolicyOptions) {
    this.#options = options;
    this.#source = policySource(options.settings.url, options.settings.authorityFile);
    this.#openCache();
  }

  get state(): PolicyState {
    const { url, graceHours } = this.#options.settings;
    const confirmedAt = this.#cache?.confirmedAt;
    return {
      url,
      ...(this.#serial === undefined ? {} : { serial: this.#serial }),
      ...(confirmedAt === undefined ? {} : { confirmedAt }),
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
      overdue: Date.now() - (confirmedAt ?? this.#startedAt) > graceHours * hour,
    };
  }

  /** Fetches now, then on schedule. Never rejects. */
  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const taken = await this.#fetch();
      this.#options.onRefresh?.(taken ? 'taken' : 'unchanged');
      this.#problem = undefined;
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#options.onRefresh?.('failed');
      this.#problem = error instanceof Error ? error.message : String(error);
      this.#options.onFailure(this.#problem);
    }
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.refresh(), this.#wait()).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#source.close();
  }

  #wait(): number {
    const interval = this.#options.settings.refreshMinutes * minute;
    if (this.#failures === 0) return interval;
    return Math.min(
      interval,
      (this.#options.firstRetry ?? firstRetryMilliseconds) * 2 ** (this.#failures - 1),
    );
  }

  /** True when another bundle is in force afterwards. */
  async #fetch(): Promise<boolean> {
    const { url, publicKey } = this.#options.settings;
    const fetched = await this.#source.fetch(this.#cache?.mark);
    if (fetched === 'unchanged') {
      if (this.#cache !== undefined) this.#keep({ ...this.#cache, confirmedAt: Date.now() });
      return false;
    }
    const bundle = openBundle(fetched.text, publicKey, url);
    if (this.#serial !== undefined && bundle.serial < this.#serial) {
      throw new BundleProblem(
        `the bundle is older (${bundle.serial}) than the one in force (${this.#serial})`,
      );
    }
    this.#keep({ url, confirmedAt: Date.now(), ...fetched });
    if (bundle.serial === this.#serial) return false;
    this.#take(bundle);
    return true;
  }

  #take(bundle: Bundle): void {
    this.#serial = bundle.serial;
    this.#options.onBundle(bundle);
  }

  /** The bundle of the last run holds from the start; its signature is checked again. */
  #openCache(): void {
    const { url, publicKey } = this.#options.settings;
    try {
      const cache = cacheSchema.parse(JSON.parse(readFileSync(this.#path(), 'utf8')));
      if (cache.url !== url) return;
      const bundle = openBundle(cache.text, publicKey, url);
      this.#cache = cache;
      this.#take(bundle);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
      this.#options.log.warn({ err: error }, 'the kept policy bundle can not be used');
    }
  }

  #keep(cache: Cache): void {
    this.#cache = cache;
    mkdirSync(this.#options.stateDir, { recursive: true });
    writeFileSync(`${this.#path()}.new`, JSON.stringify(cache), { mode: 0o600 });
    renameSync(`${this.#path()}.new`, this.#path());
  }

  #path(): string {
    return join(this.#options.stateDir, 'policy.json');
  }
}

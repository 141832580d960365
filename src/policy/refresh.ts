/**
 * Fetches the policy bundle again and again, and keeps the last good one on disk. A refresh that fails, for whatever
 * reason, changes nothing: the last bundle stays in force, and the failure is logged, audited and shown.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { Agent, request } from 'undici';
import { z } from 'zod';
import type { Settings } from '../settings/schema.js';
import { type Bundle, BundleProblem, openBundle } from './bundle.js';

const maximumBytes = 1024 * 1024;
const timeoutMilliseconds = 30_000;
const firstRetryMilliseconds = 15_000;
const minute = 60_000;
const hour = 60 * minute;

const cacheSchema = z.object({
  url: z.string(),
  text: z.string(),
  etag: z.string().optional(),
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
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Waits before the first retry; doubled by each failure, up to the refresh interval. */
  readonly firstRetry?: number;
}

export class PolicyRefresh {
  readonly #options: PolicyOptions;
  readonly #agent: Agent;
  readonly #startedAt = Date.now();
  #cache: Cache | undefined;
  #serial: number | undefined;
  #problem: string | undefined;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PolicyOptions) {
    this.#options = options;
    const { authorityFile } = options.settings;
    this.#agent = new Agent(
      authorityFile === '' ? {} : { connect: { ca: readFileSync(authorityFile, 'utf8') } },
    );
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
      await this.#fetch();
      this.#problem = undefined;
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#problem = error instanceof Error ? error.message : String(error);
      this.#options.onFailure(this.#problem);
    }
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.refresh(), this.#wait()).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#agent.destroy();
  }

  #wait(): number {
    const interval = this.#options.settings.refreshMinutes * minute;
    if (this.#failures === 0) return interval;
    return Math.min(
      interval,
      (this.#options.firstRetry ?? firstRetryMilliseconds) * 2 ** (this.#failures - 1),
    );
  }

  async #fetch(): Promise<void> {
    const { url, publicKey } = this.#options.settings;
    const answer = await request(url, {
      dispatcher: this.#agent,
      headersTimeout: timeoutMilliseconds,
      bodyTimeout: timeoutMilliseconds,
      headers: this.#cache?.etag === undefined ? {} : { 'if-none-match': this.#cache.etag },
    });
    if (answer.statusCode === 304 && this.#cache !== undefined) {
      await answer.body.dump();
      this.#keep({ ...this.#cache, confirmedAt: Date.now() });
      return;
    }
    if (answer.statusCode !== 200) {
      await answer.body.dump();
      throw new BundleProblem(`${url} answered ${answer.statusCode}`);
    }
    const text = await readLimited(answer.body);
    const bundle = openBundle(text, publicKey, url);
    if (this.#serial !== undefined && bundle.serial < this.#serial) {
      throw new BundleProblem(
        `the bundle is older (${bundle.serial}) than the one in force (${this.#serial})`,
      );
    }
    const { etag } = answer.headers;
    this.#keep({ url, text, confirmedAt: Date.now(), ...(typeof etag === 'string' ? { etag } : {}) });
    if (bundle.serial !== this.#serial) this.#take(bundle);
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

async function readLimited(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maximumBytes) throw new BundleProblem(`the bundle is larger than ${maximumBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

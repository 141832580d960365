/**
 * A real engine with two registries behind a proxy that has the registry rules and nothing else: for tests of what
 * reaches a registry. Both registries have `team/base:1`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { z } from 'zod';
import { EngineClient } from '../../src/engine/client.js';
import { grpcJudgeFor, streamJudgeFor } from '../../src/registry/judges.js';
import { registryRules } from '../../src/rules/registry-rules.js';
import { type Settings, settingsSchema } from '../../src/settings/schema.js';
import { startTestProxy, type TestProxy } from '../proxy/start.js';
import { DockerCli, type DockerRunOptions } from '../support/docker-cli.js';
import { type Engine, type EngineOptions, importBusybox, startEngine } from '../support/engines.js';
import { CountedRegistry } from './registries.js';

/** What a door's command came to. */
export interface Knocked {
  /** 0, `'0'` when it went well. */
  readonly code: number | string | undefined;
  readonly text: string;
}

/** Tries to get the engine to a registry: the one that isn't listed, if the door is open. */
export type Door = (guarded: GuardedEngine) => Promise<Knocked>;

/** The words of each refusal. */
export const restricted = /access to .* has been restricted by your administrators/i;
/** BuildKit's own denial, with our words behind it. */
export const byPolicy = /denied by policy: registry access to .* has been restricted by your administrators/;

const diskSchema = z.object({
  BuildCache: z.array(z.object({ ID: z.string(), Type: z.string() })).nullish(),
});

/** Isolation is off: it refuses contexts from loopback addresses, where these registries are, for reasons of its own. */
function registryAccess(access: object = {}): Settings {
  return settingsSchema.parse({
    enhancedContainerIsolation: { value: false },
    registryAccess: access,
  });
}

export class GuardedEngine {
  readonly engine: Engine;
  /** The registry that `list` lists, and the one that it doesn't. */
  readonly good: CountedRegistry;
  readonly evil: CountedRegistry;
  readonly proxy: TestProxy;
  /** A command line behind the proxy; the engine's own reaches it past the proxy. */
  readonly cli: DockerCli;
  readonly #client: EngineClient;
  readonly #folders: string[] = [];
  readonly #settings: { current: Settings; generation: number };

  private constructor(
    engine: Engine,
    registries: readonly [CountedRegistry, CountedRegistry],
    client: EngineClient,
    settings: { current: Settings; generation: number },
    proxy: TestProxy,
    cli: DockerCli,
  ) {
    this.engine = engine;
    [this.good, this.evil] = registries;
    this.#client = client;
    this.#settings = settings;
    this.proxy = proxy;
    this.cli = cli;
  }

  static async start(options: EngineOptions): Promise<GuardedEngine> {
    const registries = [await CountedRegistry.start(), await CountedRegistry.start()] as const;
    const engine = await startEngine(options);
    await importBusybox(engine.cli);
    for (const registry of registries) {
      await engine.cli.must('tag', 'busybox', `${registry.address}/team/base:1`);
      await engine.cli.must('push', `${registry.address}/team/base:1`);
      await engine.cli.must('rmi', `${registry.address}/team/base:1`);
    }
    const client = new EngineClient(engine.socket);
    const { Version, ApiVersion } = await client.version();
    const settings = { current: registryAccess(), generation: 1 };
    const proxy = await startTestProxy(engine.socket, {
      settings,
      rules: registryRules,
      facts: {
        engine: () => ({ version: Version, apiVersion: ApiVersion, cgroupVersion: '2', dataRoot: '/' }),
        resolve: () => Promise.reject(new Error('registry rules need no facts')),
        changing: () => () => undefined,
        noteExec: () => undefined,
      },
      judgeGrpc: (request) => grpcJudgeFor(request, client, settings),
      judgeStream: (request) => streamJudgeFor(request, client),
    });
    const cli = await DockerCli.open(
      proxy.socket,
      options.buildx === undefined ? {} : { buildx: options.buildx },
    );
    return new GuardedEngine(engine, registries, client, settings, proxy, cli);
  }

  /** Every registry may be reached. */
  unlist(): void {
    this.#settings.current = registryAccess();
  }

  /** The good registry alone may be reached. */
  list(more: object = {}): void {
    const registries = [{ address: this.good.address }];
    this.#settings.current = registryAccess({ value: true, registries, ...more });
  }

  /** Drops what an earlier build or pull left, so that the next one has to ask again. */
  async forget(): Promise<void> {
    if (this.engine.version !== '20.10') await this.engine.cli.run(['buildx', 'prune', '-af']);
    await this.engine.cli.run(['rmi', '-f', `${this.evil.address}/team/base:1`]);
  }

  /** Every container, image and piece of build cache of the engine. */
  async objects(): Promise<readonly string[]> {
    const lists = [await this.engine.cli.must('ps', '-aq'), await this.engine.cli.must('images', '-aq')];
    const { BuildCache } = await this.#client.get('/system/df', diskSchema);
    // The client's own files are copied before the Dockerfile among them can be read.
    const cache = (BuildCache ?? []).filter(({ Type }) => Type !== 'source.local').map(({ ID }) => ID);
    return [...lists.flatMap((text) => text.split('\n')), ...cache].sort();
  }

  /** A folder with these files, until the end; `EVIL` and `GOOD` in them become the registries' addresses. */
  folder(files: Readonly<Record<string, string>>): string {
    const folder = mkdtempSync(join(tmpdir(), 'cofferdam-context-'));
    this.#folders.push(folder);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), this.filled(content));
    }
    return folder;
  }

  /** The text with the registries' addresses in the place of `EVIL` and `GOOD`. */
  filled(text: string): string {
    return text.replaceAll('EVIL', this.evil.address).replaceAll('GOOD', this.good.address);
  }

  /** Runs `docker …` behind the proxy, with `EVIL` and `GOOD` filled in. */
  async docker(argv: readonly string[], options?: DockerRunOptions): Promise<Knocked> {
    const filled = argv.map((word) => this.filled(word));
    const { code, stdout, stderr } = await this.cli.run(filled, options);
    return { code, text: `${stderr}${stdout}` };
  }

  /** Tries a door without a list, where it must connect, and with one, where it must not, nor leave anything. */
  async expectClosed(door: Door, words: RegExp): Promise<void> {
    const knock = async () => {
      await this.forget();
      const before = await this.objects();
      const audited = this.proxy.records.length;
      let knocked: Knocked = { code: undefined, text: '' };
      const contacts = await this.evil.during(async () => {
        knocked = await door(this);
      });
      return { before, audited, contacts, ...knocked };
    };
    this.unlist();
    const open = await knock();
    expect(open.contacts, `without a list it connects: ${open.text}`).toBeGreaterThan(0);
    this.list();
    const closed = await knock();
    expect(closed.contacts, closed.text).toBe(0);
    expect(String(closed.code)).not.toBe('0');
    expect(closed.text).toMatch(words);
    const audited = () => JSON.stringify(this.proxy.records.slice(closed.audited));
    await expect.poll(audited).toContain('"verdict":"denied"');
    expect(await this.objects()).toEqual(closed.before);
  }

  async close(): Promise<void> {
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
    this.cli.close();
    await this.proxy.stop();
    await this.#client.close();
    await this.engine.stop();
    await this.good.close();
    await this.evil.close();
  }
}

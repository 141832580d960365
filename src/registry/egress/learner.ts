/**
 * Asks listed registries where they send their clients, because the engine's own conversation with them is encrypted:
 * the token server that a registry names, and the store that it redirects a layer's download to. It must never follow
 * a redirect, never ask a registry that isn't listed, and never believe an answer without a valid certificate.
 */
import { Agent, type Dispatcher, request } from 'undici';
import { z } from 'zod';
import { tokenAddress } from '../challenge.js';
import { formatReference, type Reference } from '../reference.js';
import { manifestTypes, trustedAuthorities } from '../registry-client.js';
import { type Authority, authorityOf, parseAuthority } from './authority.js';
import type { Connector } from './connector.js';
import type { Trust } from './destinations.js';
import type { RedirectMemory } from './redirects.js';

/** Basic credentials that a client gave for its own pull. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** An image that a registry may be asked about. */
export interface Sample {
  readonly reference: Reference;
  readonly credentials?: Credentials | undefined;
}

export interface LearnerOptions {
  readonly memory: RedirectMemory;
  readonly connector: Connector;
  /** What the settings say of a place: a token server in a private network must be listed itself. */
  readonly trustOf: (place: Authority) => Trust;
  /** Images of a registry that it is likely to answer for. */
  readonly samples: (registry: Authority) => Promise<readonly Sample[]>;
  /** dockerd's folder of certificates by registry. */
  readonly certificates?: string;
}

/** How long the engine's connection may wait for what is learnt, in milliseconds. */
const patience = 10_000;
/** A registry isn't asked about the same images again before this, in milliseconds. */
const pause = 30_000;
const samplesMax = 4;
const bodyMax = 4 * 1024 * 1024;

const descriptor = z.object({ digest: z.string().regex(/^[a-z0-9]+:[a-f0-9]+$/) });
const manifestSchema = z.object({
  config: descriptor.optional(),
  layers: z.array(descriptor).optional(),
  manifests: z.array(descriptor).optional(),
});
const tokenSchema = z.object({ token: z.string().optional(), access_token: z.string().optional() });

interface Answer {
  readonly status: number;
  readonly challenge: string;
  readonly location: string | undefined;
  readonly text: string;
}

/** One registry, one image, one conversation: what was learnt in it is in `places`. */
interface Conversation {
  readonly registry: Authority;
  readonly sample: Sample;
  readonly places: Set<string>;
  readonly signal: AbortSignal;
  token: string | undefined;
}

export class Learner {
  readonly #options: LearnerOptions;
  readonly #asking = new Map<string, Promise<void>>();
  readonly #asked = new Map<string, { readonly about: string; readonly at: number }>();
  readonly #agents = new Map<string, Agent>();

  constructor(options: LearnerOptions) {
    this.#options = options;
  }

  /** Asks a registry, unless that was done a moment ago. Never rejects: what isn't learnt stays refused. */
  ask(registry: Authority): Promise<void> {
    const asking = this.#asking.get(registry.key);
    if (asking !== undefined) return asking;
    const asked = this.#ask(registry).finally(() => this.#asking.delete(registry.key));
    this.#asking.set(registry.key, asked);
    return asked;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()));
  }

  async #ask(registry: Authority): Promise<void> {
    const samples = (await this.#options.samples(registry).catch(() => [])).slice(0, samplesMax);
    const about = samples.map(({ reference }) => formatReference(reference)).join(' ');
    const last = this.#asked.get(registry.key);
    if (last?.about === about && Date.now() - last.at < pause) return;
    this.#asked.set(registry.key, { about, at: Date.now() });
    const signal = AbortSignal.timeout(patience);
    for (const sample of samples) {
      const conversation: Conversation = { registry, sample, places: new Set(), signal, token: undefined };
      const store = await this.#converse(conversation).catch(() => false);
      this.#options.memory.learn(registry.key, [...conversation.places]);
      // One store serves all repositories of a registry, as a rule: the first that is named will do.
      if (store || signal.aborted) return;
    }
  }

  /** True when the registry named a store. */
  async #converse(conversation: Conversation): Promise<boolean> {
    const { path, tag, digest } = conversation.sample.reference;
    let manifest = await this.#manifest(conversation, `/v2/${path}/manifests/${digest ?? tag ?? 'latest'}`);
    const [child] = manifest?.manifests ?? [];
    if (child !== undefined)
      manifest = await this.#manifest(conversation, `/v2/${path}/manifests/${child.digest}`);
    for (const blob of [manifest?.config, manifest?.layers?.at(-1)]) {
      if (blob === undefined) continue;
      const { status, location } = await this.#authorised(conversation, `/v2/${path}/blobs/${blob.digest}`);
      if (status >= 300 && status < 400 && this.#note(conversation, location)) return true;
    }
    return false;
  }

  async #manifest(
    conversation: Conversation,
    path: string,
  ): Promise<z.infer<typeof manifestSchema> | undefined> {
    const { status, location, text } = await this.#authorised(conversation, path);
    if (status >= 300 && status < 400) this.#note(conversation, location);
    return status === 200 ? manifestSchema.safeParse(parseJson(text)).data : undefined;
  }

  async #authorised(conversation: Conversation, path: string): Promise<Answer> {
    const { registry, signal } = conversation;
    const url = `https://${registry.key}${path}`;
    const headers = (): Record<string, string> =>
      conversation.token === undefined
        ? { accept: manifestTypes }
        : { accept: manifestTypes, authorization: `Bearer ${conversation.token}` };
    const first = await this.#get(url, registry, headers(), signal);
    if (first.status !== 401 || conversation.token !== undefined) return first;
    conversation.token = await this.#token(conversation, first.challenge);
    return conversation.token === undefined ? first : this.#get(url, registry, headers(), signal);
  }

  async #token(conversation: Conversation, challenge: string): Promise<string | undefined> {
    const url = tokenAddress(challenge);
    if (url?.protocol !== 'https:' || !this.#note(conversation, url.href)) return undefined;
    const authority = authorityOf(url.href);
    if (authority === undefined) return undefined;
    const { credentials } = conversation.sample;
    const basic =
      credentials && Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
    const headers = basic === undefined ? {} : { authorization: `Basic ${basic}` };
    const { status, text } = await this.#get(url.href, authority, headers, conversation.signal);
    const parsed = tokenSchema.safeParse(status === 200 ? parseJson(text) : undefined);
    return parsed.data?.token ?? parsed.data?.access_token;
  }

  #note({ registry, places }: Conversation, location: string | undefined): boolean {
    if (location === undefined || !URL.canParse(location, `https://${registry.key}`)) return false;
    const place = authorityOf(new URL(location, `https://${registry.key}`).href);
    if (place === undefined) return false;
    places.add(place.key);
    return true;
  }

  async #get(
    url: string,
    place: Authority,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const answer = await request(url, { headers, signal, dispatcher: this.#agent(place) });
    // A body that isn't read to its end ends with an error, which is nobody's.
    answer.body.on('error', () => {});
    const text = answer.statusCode < 300 && !url.includes('/blobs/') ? await limited(answer.body) : '';
    if (text === '') answer.body.destroy();
    return {
      status: answer.statusCode,
      challenge: first(answer.headers['www-authenticate']) ?? '',
      location: first(answer.headers['location']),
      text,
    };
  }

  /** Connections of ours obey what those of the engine obey: no name leads into private networks by itself. */
  #agent(place: Authority): Dispatcher {
    const known = this.#agents.get(place.key);
    if (known !== undefined) return known;
    const { connector, trustOf, certificates = '/etc/docker/certs.d' } = this.#options;
    const folder = place.port === 443 ? place.host : place.key;
    const ca = trustedAuthorities(certificates, folder);
    const made = new Agent({
      keepAliveTimeout: 1000,
      connect: connector.forTls(ca, place, () => trustOf(place)),
    });
    this.#agents.set(place.key, made);
    return made;
  }
}

/** Reads an `X-Registry-Auth` header; undefined where it holds no name and password. */
export function credentialsOf(header: string): Credentials | undefined {
  const schema = z.object({ username: z.string().min(1), password: z.string().min(1) });
  return schema.safeParse(parseJson(Buffer.from(header, 'base64url').toString('utf8'))).data;
}

/** Whether a reference is served by the registry behind an authority. */
export function servedBy({ domain }: Reference, registry: Authority): boolean {
  const host = domain === 'docker.io' ? 'registry-1.docker.io' : domain;
  return parseAuthority(host, 443)?.key === registry.key;
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

async function limited(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > bodyMax) return '';
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

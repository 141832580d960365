/**
 * Asks registries for manifests: with anonymous token authentication, the environment's proxies, and the engine's own
 * certificates. It must never believe a digest that a registry merely states: it computes it from the manifest.
 * Source: distribution/distribution `docs/spec/{api,auth/token}.md`; moby registry/registry.go for certificates.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { z } from 'zod';
import { formatReference, type Reference } from './reference.js';

/** The registry can't be asked, or its answer is none. */
export class RegistryProblem extends Error {
  readonly code = 'COFFERDAM_REGISTRY';
}

export interface Manifest {
  /** sha256 of the manifest's bytes. */
  readonly digest: string;
  /** For an index: the digests of the manifests in it. */
  readonly manifests: readonly string[];
}

const accept = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

const indexSchema = z.object({ manifests: z.array(z.object({ digest: z.string() })).optional() });
const tokenSchema = z.object({ token: z.string().optional(), access_token: z.string().optional() });

/** A registry that hangs must not hold anything up for longer, in milliseconds. */
const patience = 10_000;
/** The distribution specification's limit for manifests. */
const manifestMax = 4 * 1024 * 1024;

export interface RegistryClientOptions {
  /** dockerd's folder of certificates by registry: `/etc/docker/certs.d`. */
  readonly certificates?: string;
}

interface Answer {
  readonly status: number;
  readonly challenge: string;
  readonly body: Buffer;
}

export class RegistryClient {
  readonly #certificates: string;
  readonly #dispatchers = new Map<string, EnvHttpProxyAgent>();

  constructor({ certificates = '/etc/docker/certs.d' }: RegistryClientOptions = {}) {
    this.#certificates = certificates;
  }

  /**
   * The manifest of a tag or digest, or undefined when the registry has none.
   * @throws RegistryProblem
   */
  async manifest(reference: Reference): Promise<Manifest | undefined> {
    const host = reference.domain === 'docker.io' ? 'registry-1.docker.io' : reference.domain;
    const path = `/v2/${reference.path}/manifests/${reference.digest ?? reference.tag ?? 'latest'}`;
    let failure: unknown;
    for (const scheme of schemes(host)) {
      try {
        return manifestOf(await this.#authorised(`${scheme}://${host}${path}`, host), reference);
      } catch (error) {
        if (error instanceof RegistryProblem) throw error;
        failure = error;
      }
    }
    const reason = failure instanceof Error ? failure.message : String(failure);
    throw new RegistryProblem(`${host} can't be asked for ${formatReference(reference)}: ${reason}`, {
      cause: failure,
    });
  }

  async #authorised(url: string, host: string): Promise<Answer> {
    const first = await this.#get(url, host, {});
    if (first.status !== 401) return first;
    const token = await this.#token(first.challenge, host);
    return this.#get(url, host, { authorization: `Bearer ${token}` });
  }

  async #token(challenge: string, host: string): Promise<string> {
    const parameters = new Map(
      [...challenge.matchAll(/([a-z]+)="([^"]*)"/gi)].map(([, key = '', value = '']) => [
        key.toLowerCase(),
        value,
      ]),
    );
    const realm = parameters.get('realm');
    if (!/^bearer /i.test(challenge) || realm === undefined || !URL.canParse(realm)) {
      throw new RegistryProblem(`${host} wants credentials that cofferdam doesn't have`);
    }
    const url = new URL(realm);
    for (const key of ['service', 'scope']) {
      const value = parameters.get(key);
      if (value !== undefined) url.searchParams.set(key, value);
    }
    const answer = await this.#get(url.href, url.host === host ? host : url.host, {});
    const parsed = tokenSchema.safeParse(answer.status === 200 ? parseJson(answer.body) : undefined);
    const token = parsed.data?.token ?? parsed.data?.access_token;
    if (token === undefined) throw new RegistryProblem(`${host} gives no token without credentials`);
    return token;
  }

  async #get(url: string, host: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const answer = await request(url, {
      headers: { accept, ...headers },
      dispatcher: this.#dispatcher(host),
      headersTimeout: patience,
      bodyTimeout: patience,
      signal: AbortSignal.timeout(patience),
    });
    const { statusCode, headers: answered, body } = answer;
    const challenge = answered['www-authenticate'];
    return {
      status: statusCode,
      challenge: Array.isArray(challenge) ? (challenge[0] ?? '') : (challenge ?? ''),
      body: await limited(body, host),
    };
  }

  #dispatcher(host: string): Dispatcher {
    const known = this.#dispatchers.get(host);
    if (known !== undefined) return known;
    const ca = this.#authorities(host);
    const tls = ca === undefined ? {} : { connect: { ca: [...ca] }, requestTls: { ca: [...ca] } };
    const made = new EnvHttpProxyAgent({ keepAliveTimeout: 1000, ...tls });
    this.#dispatchers.set(host, made);
    return made;
  }

  /** The engine trusts every `*.crt` in a registry's folder. */
  #authorities(host: string): readonly Buffer[] | undefined {
    const folder = join(this.#certificates, host);
    if (!existsSync(folder)) return undefined;
    const files = readdirSync(folder).filter((name) => name.endsWith('.crt'));
    return files.map((name) => readFileSync(join(folder, name)));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#dispatchers.values()].map((dispatcher) => dispatcher.close()));
  }
}

/** Engines speak plain HTTP with registries on loopback addresses, after trying TLS. */
function schemes(host: string): readonly string[] {
  const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/.test(host);
  return loopback ? ['https', 'http'] : ['https'];
}

async function limited(body: AsyncIterable<Buffer>, host: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > manifestMax) throw new RegistryProblem(`${host} sends a manifest that is too large`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function manifestOf({ status, body }: Answer, reference: Reference): Manifest | undefined {
  const name = formatReference(reference);
  if (status === 404) return undefined;
  if (status !== 200) throw new RegistryProblem(`the registry of ${name} answers with status ${status}`);
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  if (reference.digest?.startsWith('sha256:') && reference.digest !== digest) {
    throw new RegistryProblem(`the registry of ${name} sends other content than asked for`);
  }
  const parsed = indexSchema.safeParse(parseJson(body));
  if (!parsed.success) throw new RegistryProblem(`the registry of ${name} sends no manifest`);
  return { digest, manifests: parsed.data.manifests?.map((entry) => entry.digest) ?? [] };
}

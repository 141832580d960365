/**
 * Asks registries for manifests: with anonymous token authentication, the environment's proxies, and the engine's own
 * certificates. It must never believe a digest that a registry merely states: it computes it from the manifest.
 * Source: distribution/distribution `docs/spec/{api,auth/token}.md`; moby registry/registry.go for certificates.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Dispatcher, EnvHttpProxyAgent, interceptors, request } from 'undici';
import { z } from 'zod';
import { tokenAddress } from './challenge.js';
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

/** What a request for a manifest accepts: indexes and manifests, by OCI and by Docker. */
export const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

const indexSchema = z.object({ manifests: z.array(z.object({ digest: z.string() })).optional() });
const artifactSchema = z.object({
  layers: z
    .array(z.object({ mediaType: z.string(), digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) }))
    .length(1),
});
const tokenSchema = z.object({ token: z.string().optional(), access_token: z.string().optional() });

const redirect = interceptors.redirect({ maxRedirections: 3 });
/** A registry that hangs must not hold anything up for longer, in milliseconds. */
const patience = 10_000;
/** The distribution specification's limit for manifests. */
const manifestMax = 4 * 1024 * 1024;

export interface RegistryClientOptions {
  /** dockerd's folder of certificates by registry: `/etc/docker/certs.d`. */
  readonly certificates?: string;
  /** Authorities (PEM) that every server is checked with instead of the usual ones. */
  readonly authority?: Buffer;
}

interface Answer {
  readonly status: number;
  readonly challenge: string;
  readonly body: Buffer;
}

export class RegistryClient {
  readonly #certificates: string;
  readonly #authority: Buffer | undefined;
  readonly #dispatchers = new Map<string, EnvHttpProxyAgent>();

  constructor({ certificates = '/etc/docker/certs.d', authority }: RegistryClientOptions = {}) {
    this.#certificates = certificates;
    this.#authority = authority;
  }

  /**
   * The manifest of a tag or digest, or undefined when the registry has none.
   * @throws RegistryProblem
   */
  async manifest(reference: Reference): Promise<Manifest | undefined> {
    const wanted = reference.digest ?? reference.tag ?? 'latest';
    return manifestOf(await this.#read(reference, `manifests/${wanted}`), reference);
  }

  /**
   * The only layer of an OCI artifact, and the digest of its manifest; undefined when there is no such tag. What is
   * given was compared with the digests that lead to it.
   * @param mediaType what the layer must be
   * @param known the digest of a manifest whose layer is at hand: it is not fetched again
   * @throws RegistryProblem
   */
  async artifact(
    reference: Reference,
    mediaType: string,
    known?: string,
  ): Promise<{ readonly digest: string; readonly layer?: Buffer } | undefined> {
    const name = formatReference(reference);
    const wanted = reference.digest ?? reference.tag ?? 'latest';
    const answer = await this.#read(reference, `manifests/${wanted}`);
    const manifest = manifestOf(answer, reference);
    if (manifest === undefined) return undefined;
    if (manifest.digest === known) return { digest: known };
    const parsed = artifactSchema.safeParse(parseJson(answer.body));
    const [layer] = parsed.data?.layers ?? [];
    if (layer?.mediaType !== mediaType)
      throw new RegistryProblem(`${name} is not an artifact with one layer of the type ${mediaType}`);
    const { status, body } = await this.#read(reference, `blobs/${layer.digest}`);
    if (status !== 200) throw new RegistryProblem(`the registry of ${name} answers with status ${status}`);
    if (sha256(body) !== layer.digest)
      throw new RegistryProblem(`the registry of ${name} sends other content than asked for`);
    return { digest: manifest.digest, layer: body };
  }

  /** Reads something of a reference's repository, over TLS or, on a loopback address, as the engine may without. */
  async #read(reference: Reference, what: string): Promise<Answer> {
    const host = reference.domain === 'docker.io' ? 'registry-1.docker.io' : reference.domain;
    let failure: unknown;
    for (const scheme of schemes(host)) {
      try {
        return await this.#authorised(`${scheme}://${host}/v2/${reference.path}/${what}`, host);
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
    const url = tokenAddress(challenge);
    if (url === undefined) throw new RegistryProblem(`${host} wants credentials that cofferdam doesn't have`);
    const answer = await this.#get(url.href, url.host === host ? host : url.host, {});
    const parsed = tokenSchema.safeParse(answer.status === 200 ? parseJson(answer.body) : undefined);
    const token = parsed.data?.token ?? parsed.data?.access_token;
    if (token === undefined) throw new RegistryProblem(`${host} gives no token without credentials`);
    return token;
  }

  async #get(url: string, host: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const answer = await request(url, {
      headers: { accept: manifestTypes, ...headers },
      // Registries keep blobs elsewhere; credentials don't go along to another origin.
      dispatcher: url.includes('/blobs/') ? this.#dispatcher(host).compose(redirect) : this.#dispatcher(host),
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
    const own = this.#authority;
    const ca = own === undefined ? trustedAuthorities(this.#certificates, host) : [own];
    const tls = ca === undefined ? {} : { connect: { ca: [...ca] }, requestTls: { ca: [...ca] } };
    const made = new EnvHttpProxyAgent({ keepAliveTimeout: 1000, ...tls });
    this.#dispatchers.set(host, made);
    return made;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#dispatchers.values()].map((dispatcher) => dispatcher.close()));
  }
}

/** The engine trusts every `*.crt` in a registry's folder of `/etc/docker/certs.d`; undefined where there is none. */
export function trustedAuthorities(certificates: string, host: string): readonly Buffer[] | undefined {
  const folder = join(certificates, host);
  if (!existsSync(folder)) return undefined;
  const files = readdirSync(folder).filter((name) => name.endsWith('.crt'));
  return files.map((name) => readFileSync(join(folder, name)));
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

function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
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
  const digest = sha256(body);
  if (reference.digest?.startsWith('sha256:') && reference.digest !== digest) {
    throw new RegistryProblem(`the registry of ${name} sends other content than asked for`);
  }
  const parsed = indexSchema.safeParse(parseJson(body));
  if (!parsed.success) throw new RegistryProblem(`the registry of ${name} sends no manifest`);
  return { digest, manifests: parsed.data.manifests?.map((entry) => entry.digest) ?? [] };
}

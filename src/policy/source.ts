/**
 * Where a policy bundle comes from: an HTTPS address, or a tag of an OCI registry. It only fetches; whether a bundle
 * may be used is told by its signature alone.
 */
import { readFileSync } from 'node:fs';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { parseReference, type Reference } from '../registry/reference.js';
import { RegistryClient } from '../registry/registry-client.js';
import { BundleProblem } from './bundle.js';

const maximumBytes = 1024 * 1024;
const timeoutMilliseconds = 30_000;
/** What the only layer of an artifact must be: DSSE's own media type (envelope.md, "Protocol"). */
export const envelopeType = 'application/vnd.dsse.envelope.v1+json';
export const ociScheme = 'oci://';

/** A bundle as it was fetched, with the mark by which the source knows it again: an ETag, or a manifest's digest. */
export interface Fetched {
  readonly text: string;
  readonly mark?: string;
}

export interface PolicySource {
  /** The bundle, or `unchanged` when it is still the one with this mark. Throws when it can't be had. */
  fetch(mark: string | undefined): Promise<Fetched | 'unchanged'>;
  close(): Promise<void>;
}

/**
 * The source that an address names: `https://…` or `oci://registry/repository:tag`.
 * @param authorityFile certificates (PEM) to check the server with; empty: the usual ones
 * @throws the file system's error for the certificates, or a ReferenceProblem for an address that names no repository
 */
export function policySource(url: string, authorityFile: string): PolicySource {
  const authority = authorityFile === '' ? undefined : readFileSync(authorityFile);
  return url.startsWith(ociScheme)
    ? new OciSource(parseReference(url.slice(ociScheme.length)), authority)
    : new HttpsSource(url, authority);
}

class HttpsSource implements PolicySource {
  readonly #url: string;
  readonly #agent: Dispatcher;

  constructor(url: string, authority: Buffer | undefined) {
    this.#url = url;
    const tls = authority === undefined ? {} : { connect: { ca: authority }, requestTls: { ca: authority } };
    this.#agent = new EnvHttpProxyAgent(tls);
  }

  async fetch(mark: string | undefined): Promise<Fetched | 'unchanged'> {
    const answer = await request(this.#url, {
      dispatcher: this.#agent,
      headersTimeout: timeoutMilliseconds,
      bodyTimeout: timeoutMilliseconds,
      signal: AbortSignal.timeout(timeoutMilliseconds),
      headers: mark === undefined ? {} : { 'if-none-match': mark },
    });
    if (answer.statusCode === 304 && mark !== undefined) {
      await answer.body.dump();
      return 'unchanged';
    }
    if (answer.statusCode !== 200) {
      await answer.body.dump();
      throw new BundleProblem(`${this.#url} answered ${answer.statusCode}`);
    }
    const text = await readLimited(answer.body);
    const { etag } = answer.headers;
    return { text, ...(typeof etag === 'string' ? { mark: etag } : {}) };
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

class OciSource implements PolicySource {
  readonly #reference: Reference;
  readonly #client: RegistryClient;

  constructor(reference: Reference, authority: Buffer | undefined) {
    this.#reference = reference;
    this.#client = new RegistryClient(authority === undefined ? {} : { authority });
  }

  async fetch(mark: string | undefined): Promise<Fetched | 'unchanged'> {
    const found = await this.#client.artifact(this.#reference, envelopeType, mark);
    if (found === undefined) throw new BundleProblem('the registry has no such tag');
    if (found.layer === undefined) return 'unchanged';
    if (found.layer.length > maximumBytes) throw tooLarge();
    return { text: found.layer.toString(), mark: found.digest };
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

function tooLarge(): BundleProblem {
  return new BundleProblem(`the bundle is larger than ${maximumBytes} bytes`);
}

async function readLimited(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maximumBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

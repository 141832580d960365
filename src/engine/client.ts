/**
 * Our own calls to the engine's API, over its unix socket: look-ups for rules, and what setup, adopt and reclaim do.
 * Clients' requests don't pass here. Every answer is parsed; only the fields that we use are believed. It must never
 * send a path that was put together from unescaped names.
 */
import { Pool } from 'undici';
import type { z } from 'zod';
import {
  type ContainerInspect,
  type ContainerSummary,
  containerInspectSchema,
  containerListSchema,
  type EngineInfo,
  type EngineVersion,
  type ExecInspect,
  execInspectSchema,
  type ImageInspect,
  type ImageSummary,
  imageInspectSchema,
  imageListSchema,
  infoSchema,
  messageSchema,
  type NetworkInspect,
  networkInspectSchema,
  type ServiceInspect,
  serviceInspectSchema,
  type VolumeInspect,
  versionSchema,
  volumeInspectSchema,
} from './client-answers.js';
import { JsonProblem, parseGoJson } from './json.js';

/** The engine can't be reached, or answered something that it shouldn't. */
export class EngineError extends Error {
  readonly code: 'COFFERDAM_ENGINE_AWAY' | 'COFFERDAM_ENGINE_ANSWER';
  /** HTTP status of the engine's answer, when there was one. */
  readonly status: number | undefined;

  constructor(
    code: EngineError['code'],
    message: string,
    options: { cause?: unknown; status?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'EngineError';
    this.code = code;
    this.status = options.status;
  }
}

export interface CallOptions {
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How one object's look-up differs from the others'. */
interface InspectOptions {
  /** Statuses that mean that there is no such object. */
  readonly absent?: readonly number[];
  readonly read?: (text: string) => unknown;
}

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

/** How long the engine may take for one of our look-ups. Its own slowest are well below. */
const answerMilliseconds = 60_000;

export class EngineClient {
  readonly socketPath: string;
  readonly #pool: Pool;

  /**
   * Connects at the first call.
   * @param patience how long the engine may take to answer, in milliseconds
   */
  constructor(socketPath: string, patience = answerMilliseconds) {
    this.socketPath = socketPath;
    this.#pool = new Pool('http://docker', {
      socketPath,
      // dockerd closes nothing by itself; a socket left idle costs it a goroutine.
      keepAliveTimeout: 60_000,
      connections: 32,
      headersTimeout: patience,
      bodyTimeout: patience,
    });
  }

  version(): Promise<EngineVersion> {
    return this.get('/version', versionSchema);
  }

  info(): Promise<EngineInfo> {
    return this.get('/info', infoSchema);
  }

  /** True when the engine answers. */
  async ping(): Promise<boolean> {
    try {
      return (await this.call('GET', '/_ping')).status === 200;
    } catch (error) {
      if (error instanceof EngineError) return false;
      throw error;
    }
  }

  /** A container by id, prefix of an id, or name; `undefined` when there is none, or several have the prefix. */
  inspectContainer(reference: string): Promise<ContainerInspect | undefined> {
    // In bodies the engine takes `/web` for `web`.
    return this.#inspect('/containers/', reference.replace(/^\//, ''), '/json', containerInspectSchema);
  }

  inspectImage(reference: string): Promise<ImageInspect | undefined> {
    return this.#inspect('/images/', reference, '/json', imageInspectSchema);
  }

  inspectVolume(name: string): Promise<VolumeInspect | undefined> {
    return this.#inspect('/volumes/', name, '', volumeInspectSchema);
  }

  inspectNetwork(reference: string): Promise<NetworkInspect | undefined> {
    return this.#inspect('/networks/', reference, '', networkInspectSchema);
  }

  execInspect(id: string): Promise<ExecInspect | undefined> {
    return this.#inspect('/exec/', id, '/json', execInspectSchema);
  }

  /** A service by id, name, or prefix of an id; `undefined` also while the engine manages no swarm, or a locked one. */
  inspectService(reference: string): Promise<ServiceInspect | undefined> {
    return this.#inspect('/services/', reference, '', serviceInspectSchema, {
      absent: [400, 404, 503],
      read: losslessOrUndefined,
    });
  }

  /** Every container, stopped ones included. */
  listContainers(): Promise<readonly ContainerSummary[]> {
    return this.get('/containers/json', containerListSchema, { query: { all: '1' } });
  }

  /** Every image in the engine's store that has a name or isn't a part of another. */
  listImages(): Promise<readonly ImageSummary[]> {
    return this.get('/images/json', imageListSchema, { query: { digests: '1' } });
  }

  /** Every name of an image in the engine's store: its tags and its repository digests. */
  async imageNames(): Promise<readonly string[]> {
    return (await this.listImages()).flatMap(({ RepoTags, RepoDigests }) => [...RepoTags, ...RepoDigests]);
  }

  /**
   * GET with an answer of a known form.
   * @param path percent-encoded, without version: the engine's newest API
   * @throws EngineError when the engine is away, answers with an error, or in another form
   */
  async get<Answer>(path: string, schema: z.ZodType<Answer>, options: CallOptions = {}): Promise<Answer> {
    return this.#parse(await this.#succeed('GET', path, options), path, schema);
  }

  /** POST with an answer of a known form. @throws EngineError as `get` */
  async post<Answer>(path: string, schema: z.ZodType<Answer>, options: CallOptions = {}): Promise<Answer> {
    return this.#parse(await this.#succeed('POST', path, options), path, schema);
  }

  /** Any call whose answer's body doesn't matter. @throws EngineError when the engine is away or answers with an error */
  async run(method: 'POST' | 'PUT' | 'DELETE', path: string, options: CallOptions = {}): Promise<void> {
    await this.#succeed(method, path, options);
  }

  /** One call, whatever the answer's status. @throws EngineError when the engine is away */
  async call(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    options: CallOptions = {},
  ): Promise<RawAnswer> {
    try {
      const answer = await this.#pool.request({
        method,
        path,
        ...(options.query === undefined ? {} : { query: { ...options.query } }),
        headers: {
          ...options.headers,
          ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: options.body === undefined ? null : JSON.stringify(options.body),
      });
      return { status: answer.statusCode, text: await answer.body.text() };
    } catch (error) {
      throw new EngineError('COFFERDAM_ENGINE_AWAY', `the engine does not answer on ${this.socketPath}`, {
        cause: error,
      });
    }
  }

  /** An endless answer, such as events. @throws EngineError as `get` */
  async stream(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Buffer>> {
    try {
      const answer = await this.#pool.request({
        method: 'GET',
        path,
        query: { ...query },
        signal,
        bodyTimeout: 0,
      });
      if (answer.statusCode === 200) return answer.body;
      throw this.#refusal('GET', path, { status: answer.statusCode, text: await answer.body.text() });
    } catch (error) {
      if (error instanceof EngineError) throw error;
      throw new EngineError('COFFERDAM_ENGINE_AWAY', `the engine does not answer on ${this.socketPath}`, {
        cause: error,
      });
    }
  }

  /** Ends all connections; calls under way fail. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #inspect<Answer>(
    before: string,
    reference: string,
    behind: string,
    schema: z.ZodType<Answer>,
    // 400: not a well-formed reference, or a prefix of several ids. The engine refuses its use in the same way.
    { absent = [400, 404], read = jsonOrUndefined }: InspectOptions = {},
  ): Promise<Answer | undefined> {
    const name = encodeReference(reference);
    if (name === undefined) return undefined;
    const path = before + name + behind;
    const answer = await this.call('GET', path);
    if (absent.includes(answer.status)) return undefined;
    if (answer.status !== 200) throw this.#refusal('GET', path, answer);
    return this.#parse(answer, path, schema, read);
  }

  async #succeed(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    options: CallOptions,
  ): Promise<RawAnswer> {
    const answer = await this.call(method, path, options);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw this.#refusal(method, path, answer);
  }

  #refusal(method: string, path: string, { status, text }: RawAnswer): EngineError {
    const parsed = messageSchema.safeParse(jsonOrUndefined(text));
    const words = parsed.success ? parsed.data.message : 'no message';
    return new EngineError(
      'COFFERDAM_ENGINE_ANSWER',
      `the engine answers ${method} ${path} with ${status}: ${words}`,
      {
        status,
      },
    );
  }

  #parse<Answer>(
    answer: RawAnswer,
    path: string,
    schema: z.ZodType<Answer>,
    read: (text: string) => unknown = jsonOrUndefined,
  ): Answer {
    const parsed = schema.safeParse(read(answer.text));
    if (parsed.success) return parsed.data;
    throw new EngineError(
      'COFFERDAM_ENGINE_ANSWER',
      `the engine's answer to ${path} has another form than expected`,
      {
        cause: parsed.error,
        status: answer.status,
      },
    );
  }
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Keeps integers that a double can't hold. */
function losslessOrUndefined(text: string): unknown {
  try {
    return parseGoJson(Buffer.from(text));
  } catch (error) {
    if (error instanceof JsonProblem) return undefined;
    throw error;
  }
}

/** A name as a part of a path; `undefined` for one that no object can be asked for by. */
function encodeReference(reference: string): string | undefined {
  const pieces = reference.split('/');
  if (pieces.some((piece) => piece === '' || piece === '.' || piece === '..')) return undefined;
  return pieces.map(encodeURIComponent).join('/');
}

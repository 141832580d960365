/**
 * Talks to an engine's socket and writes down every answer with what can't be the same twice — ids, times, process
 * ids — made comparable. What two sides' transcripts don't share is a difference that a client could see.
 */
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';

export interface Call {
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  /** An object is sent as JSON, text and bytes as they are. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Asks for this protocol and sends these bytes after the upgrade, then ends its own direction. */
  readonly upgrade?: { readonly protocol: string; readonly input: string };
  /** Compares only what this makes of the body, for numbers that are measured anew each time. */
  readonly reduce?: (body: string) => unknown;
  /** Written down under this name instead of the path. */
  readonly title?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly trailers: readonly string[];
  readonly body: string;
}

/** One answer, as two sides compare it. */
export interface Entry {
  readonly call: string;
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly trailers: readonly string[];
  readonly body: unknown;
}

const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade']);

export class Transcript {
  readonly entries: Entry[] = [];
  readonly #socket: string;
  readonly #prefix: string;
  readonly #ids = new Map<string, string>();

  /** @param version API version of the paths, `''` for bare ones */
  constructor(socket: string, version: string) {
    this.#socket = socket;
    this.#prefix = version === '' ? '' : `/v${version}`;
  }

  /** Calls and writes the answer down. */
  async call(method: string, path: string, call: Call = {}): Promise<Answer> {
    const answer = await this.silent(method, path, call);
    const title = this.#comparable(`${method} ${call.title ?? path}`);
    const whole = this.#comparable(withoutFrames(answer));
    const body = call.reduce === undefined ? whole : call.reduce(answer.body);
    // Times and process ids are written with as many digits as they need.
    const measured = call.reduce !== undefined || /TIME|:PID/.test(whole);
    this.entries.push({
      call: title,
      status: answer.status,
      headers: answer.headers
        .filter(([name]) => !measured || name.toLowerCase() !== 'content-length')
        .map(([name, value]) => [name, this.#comparableHeader(name, value)]),
      trailers: answer.trailers,
      body,
    });
    return answer;
  }

  /** Calls without writing anything down: to prepare, and to clean up. */
  silent(method: string, path: string, call: Call = {}): Promise<Answer> {
    const pairs = Object.entries(call.query ?? {}).flatMap(([name, value]) =>
      (typeof value === 'string' ? [value] : value).map((one): [string, string] => [name, one]),
    );
    const query = new URLSearchParams(pairs).toString();
    const target = `${this.#prefix}${path}${query === '' ? '' : `?${query}`}`;
    return exchange(this.#socket, method, target, call);
  }

  #comparableHeader(name: string, value: string): string {
    const lower = name.toLowerCase();
    if (lower === 'date') return 'DATE';
    if (lower !== 'x-docker-container-path-stat') return this.#comparable(value);
    return this.#comparable(Buffer.from(value, 'base64').toString('utf8'));
  }

  #comparable(text: string): string {
    return text
      .replace(/docker-import-\d+/g, 'docker-import')
      .replace(/\b[0-9a-f]{64}\b/g, (id) => this.#nameOf(id))
      .replace(/\b[0-9a-f]{12}\b/g, (short) => this.#nameOfPrefix(short))
      .replace(/\b(?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g, 'TIME')
      .replace(/\b1[6789]\d{8}(\.\d+|\d{9})?\b/g, 'SECONDS')
      .replace(/"Status":"Up [^"()]+/g, '"Status":"Up TIME')
      .replace(/"Pid":[1-9]\d*/g, '"Pid":PID')
      .replace(/\/var\/run\/docker\/netns\/[0-9a-f]+/g, 'NETNS');
  }

  #nameOf(id: string): string {
    const known = this.#ids.get(id);
    if (known !== undefined) return known;
    const name = `ID${this.#ids.size + 1}`;
    this.#ids.set(id, name);
    return name;
  }

  #nameOfPrefix(short: string): string {
    for (const [id, name] of this.#ids) if (id.startsWith(short)) return `${name}-SHORT`;
    return short;
  }
}

/** A multiplexed stream by its channels: how output falls into frames is a matter of the engine's timing. */
function withoutFrames({ headers, body }: Answer): string {
  const multiplexed = headers.some(([, value]) => value === 'application/vnd.docker.multiplexed-stream');
  const frames = Buffer.from(body, 'latin1');
  // Engines before 23.0 don't say that it is one.
  if (!multiplexed && !(frames.length > 8 && frames.readUInt8(0) < 3 && frames.readUIntBE(1, 3) === 0))
    return body;
  const channels = new Map<number, string>();
  for (let at = 0; at < frames.length; ) {
    const channel = frames.readUInt8(at);
    const end = at + 8 + frames.readUInt32BE(at + 4);
    channels.set(channel, (channels.get(channel) ?? '') + frames.toString('latin1', at + 8, end));
    at = end;
  }
  return JSON.stringify([...channels].sort(([a], [b]) => a - b));
}

function exchange(socketPath: string, method: string, path: string, call: Call): Promise<Answer> {
  const body = bodyOf(call.body);
  const headers: Record<string, string> = {
    Host: 'docker',
    ...(typeof call.body === 'object' && !Buffer.isBuffer(call.body)
      ? { 'Content-Type': 'application/json' }
      : {}),
    ...(body === undefined ? {} : { 'Content-Length': String(body.length) }),
    ...(call.upgrade === undefined ? {} : { Connection: 'Upgrade', Upgrade: call.upgrade.protocol }),
    ...call.headers,
  };
  return new Promise((resolve, fail) => {
    const reject = (cause: unknown): void => fail(new Error(`${method} ${path} on ${socketPath}`, { cause }));
    const outgoing = request({ socketPath, method, path, headers, agent: false });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      collect(incoming).then((text) => resolve(answerOf(incoming, text, incoming.rawTrailers)), reject);
    });
    outgoing.on('upgrade', (incoming, socket: Socket, head) => {
      socket.on('error', reject);
      socket.unshift(head);
      socket.end(call.upgrade?.input ?? '');
      collect(socket).then((text) => resolve(answerOf(incoming, text, [])), reject);
    });
    outgoing.end(body);
  });
}

function bodyOf(body: unknown): Buffer | undefined {
  if (body === undefined) return undefined;
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

async function collect(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

function answerOf(incoming: IncomingMessage, body: string, trailers: readonly string[]): Answer {
  const { statusCode = 0, rawHeaders } = incoming;
  const headers: (readonly [string, string])[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (!hopByHop.has(name.toLowerCase())) headers.push([name, rawHeaders[at + 1] ?? '']);
  }
  return { status: statusCode, headers, trailers, body };
}

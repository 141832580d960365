/**
 * One request and its answer on a client's connection. It knows how far the answer has come, so that an error is
 * answered once, and never into the middle of another answer.
 */
import type { Verdict } from '../rules/evaluate.js';
import type { JudgedRequest } from '../rules/rule.js';
import type { Caller } from '../uid-allocator/record.js';
import type { ClientConnection } from './client-connection.js';
import { ProxyError } from './errors.js';
import type { RequestHead } from './head.js';
import { priorKnowledge } from './http2-preface.js';
import { noBody, RequestBody } from './request-body.js';
import type { RoutedRequest } from './route-request.js';

/** What an exchange tells whoever carries out its request. */
export interface ClientWatcher {
  /** The client sends nothing more, but may still read. */
  clientEnded?(): void;
  /** The client takes bytes again. */
  clientDrained?(): void;
  /** The client is gone. */
  clientGone(): void;
}

export class Exchange {
  readonly connection: ClientConnection;
  /** Absent when no well-formed head could be read. */
  readonly head: RequestHead | undefined;
  readonly body: RequestBody;
  readonly startedAt = performance.now();
  /** What the record of this exchange is made of, filled in as it becomes known. */
  readonly findings: Findings = {};
  /** When the request was read and when it was judged; absent where it didn't come so far. */
  readonly reached: { read?: number; judged?: number } = {};
  /** HTTP status of the answer, 0 before there is one. */
  status = 0;
  #watcher: ClientWatcher | undefined;
  #gone = false;
  #ended = false;

  constructor(connection: ClientConnection, head: RequestHead | undefined) {
    this.connection = connection;
    this.head = head;
    this.body = hasBody(head) ? new RequestBody(head.framing, connection.socket) : noBody;
  }

  get caller(): Caller {
    return this.connection.caller;
  }

  /** True for a connection that began with HTTP/2 itself, which is what an answer must be then. */
  get speaksHttp2(): boolean {
    return this.head === priorKnowledge;
  }

  /** True once the answer's head is written: from then on an error can only break the connection. */
  get answering(): boolean {
    return this.status !== 0;
  }

  /** True when the client's connection is closed. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Sets who is told of the client's side from now on; tells at once what has happened already. */
  watch(watcher: ClientWatcher | undefined): void {
    this.#watcher = watcher;
    if (this.#gone) watcher?.clientGone();
    else if (this.#ended) watcher?.clientEnded?.();
  }

  clientEnded(): void {
    this.#ended = true;
    this.#watcher?.clientEnded?.();
  }

  clientDrained(): void {
    this.#watcher?.clientDrained?.();
  }

  clientGone(): void {
    this.#gone = true;
    this.body.truncated();
    this.#watcher?.clientGone();
  }

  /** The head of a request that could be read. @throws ProxyError when there is none */
  requireHead(): RequestHead {
    if (this.head === undefined)
      throw new ProxyError('COFFERDAM_INTERNAL', 'a request without a head was handled');
    return this.head;
  }

  /** @throws ProxyError when no new requests are taken any more */
  throwIfDraining(draining: boolean): void {
    if (draining) throw new ProxyError('COFFERDAM_DRAINING', 'cofferdam is stopping: try again');
  }

  /** @throws ProxyError when the client is gone, so that nothing is done for nobody */
  throwIfGone(): void {
    if (this.#gone) throw new ProxyError('COFFERDAM_CLIENT_GONE', 'the client went away');
  }
}

function hasBody(head: RequestHead | undefined): head is RequestHead {
  return head !== undefined && head.framing.kind !== 'none';
}

/** What becomes known of a request on its way, for its record. */
export interface Findings {
  routed?: RoutedRequest;
  /** The request as it was judged, or is being. */
  asked?: JudgedRequest;
  verdict?: Verdict;
  /** The image that the request names, in full. */
  image?: string;
  /** Full ids of the objects that the request made. */
  objects?: readonly string[];
  /** Why it ended without the engine's complete answer. */
  error?: unknown;
}

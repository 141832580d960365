/**
 * The phases *forward*, *hijack* and *h2c*: sends an allowed request to the engine and sees it through. What the engine
 * answers decides whether the connection stays HTTP or becomes a tunnel.
 */
import { type JsonArray, stringifyJson } from '../engine/json.js';
import { stringifyQuery } from '../engine/query.js';
import { canonicalPath } from '../engine/routes.js';
import { headLength as archiveHeadLength } from '../registry/copied-archive.js';
import { readersOf } from './answer-readers.js';
import { type Booking, createdContainer } from './bookkeeping.js';
import { carryOutFiles, isAboutFiles } from './container-archive.js';
import type { ProxyContext } from './context.js';
import { EngineHttp2 } from './engine-http2.js';
import type { EngineRequest, EngineRequestBody } from './engine-request.js';
import type { Exchange } from './exchange.js';
import { type ForwardOptions, forward, noteFailure } from './forward.js';
import { clientsWord } from './given-name.js';
import { terminateGrpc } from './grpc.js';
import type { RequestHead } from './head.js';
import { tunnel, tunnelAnswer, upgradeFor } from './hijack.js';
import type { AllowedRequest } from './judge.js';
import { withStandIn } from './missing-container.js';
import { openPriorKnowledge } from './prior-knowledge.js';
import { grpcWatcher } from './record.js';
import { keepWay } from './repeat.js';
import type { RoutedRequest } from './route-request.js';
import type { TunnelEnd } from './tunnel-end.js';
import { isSeenThrough } from './volume-turns.js';

const unknownLength = { kind: 'stream', length: undefined } as const;

/** A request that may be sent, with everything that its sending needs. */
export interface Errand {
  readonly routed: RoutedRequest;
  readonly allowed: AllowedRequest;
  /** The JSON list that stands for a body on a few plugin endpoints. */
  readonly list: JsonArray | undefined;
  readonly booking: Booking | undefined;
}

/** Settled when the answer is written, or when the connection became a tunnel. */
export async function carryOut(exchange: Exchange, errand: Errand, proxy: ProxyContext): Promise<void> {
  const changed = proxy.facts.changing(errand.routed.route.name);
  let tunnelled: Tunnel | undefined;
  try {
    tunnelled = await send(exchange, errand, proxy);
  } finally {
    if (tunnelled === undefined) changed();
    else void tunnelled.closed.then(changed, changed);
  }
}

/** A connection that stopped being HTTP. */
interface Tunnel {
  readonly closed: Promise<void>;
}

async function send(exchange: Exchange, errand: Errand, proxy: ProxyContext): Promise<Tunnel | undefined> {
  const { routed, allowed, booking } = errand;
  if (exchange.speaksHttp2) return openHttp2(exchange, allowed, proxy);
  if (allowed.missing !== undefined) {
    const { request, givenName } = withStandIn(allowed.request, allowed.missing);
    const asked = engineRequest(exchange, { ...errand, allowed: { ...allowed, request } });
    noteFailure(exchange, await forward(exchange, asked, proxy.pool, { readers: [clientsWord(givenName)] }));
    return undefined;
  }
  const request = engineRequest(exchange, errand);
  const registryAuth = request.fields.find(({ key }) => key === 'x-registry-auth');
  proxy.noteImage?.(allowed.request, registryAuth?.value);
  const readers = readersOf(routed, allowed, proxy);
  if (booking !== undefined) {
    await forwardBooked(exchange, request, { booking, readers }, proxy);
    return undefined;
  }
  if (isAboutFiles(allowed.request)) {
    const asked = routed.match.params['id'] ?? allowed.request.query.get('container')?.[0] ?? '';
    const served = await carryOutFiles(exchange, request, { ...allowed, asked }, proxy);
    if (served !== undefined) {
      noteFailure(exchange, served);
      return undefined;
    }
  }
  if (isSeenThrough(allowed.request)) {
    await forwardToTheEnd(exchange, request, proxy);
    return undefined;
  }
  const tunnels = tunnelAnswer(routed.route, request.upgrade);
  const bodyJudge =
    request.body.kind === 'stream'
      ? proxy.judgeStream?.(allowed.request, await bodyBegin(exchange, request, routed.route.name))
      : undefined;
  // Before a container's files are looked at, the engine's view of them is made fresh each time.
  if (tunnels === undefined && !isAboutFiles(allowed.request))
    keepWay(exchange, allowed, { routed, request, options: { readers } });
  // What a judge sends instead of what came has a length that nobody knows yet.
  const unknown = bodyJudge?.replaceWith !== undefined && request.minorVersion === 1;
  const sent: EngineRequest = unknown ? { ...request, body: unknownLength } : request;
  const options = {
    ...(tunnels && { tunnels }),
    ...(bodyJudge && { bodyJudge }),
    readers,
  };
  const outcome = await forward(exchange, sent, proxy.pool, options).finally(() => bodyJudge?.close());
  if (outcome.kind === 'tunnel') return openTunnel(exchange, outcome.engine, allowed, proxy);
  noteFailure(exchange, outcome);
  return undefined;
}

/**
 * How an archive begins that is copied into a container: a plain one goes on as it comes, with the length that was
 * announced, which dockerd reads faster than chunks. A client that awaits the engine's word has sent nothing yet.
 */
async function bodyBegin(
  { body }: Exchange,
  { expectsContinue }: EngineRequest,
  route: string,
): Promise<Buffer | undefined> {
  const awaited = route === 'container.archive-put' && body.kind === 'length' && !expectsContinue;
  return awaited ? await body.begin(archiveHeadLength) : undefined;
}

function engineRequest(exchange: Exchange, errand: Errand): EngineRequest {
  const { routed, allowed } = errand;
  const head = exchange.requireHead();
  const query = stringifyQuery(allowed.request.query);
  const body = engineBody(exchange, errand);
  const { params } = allowed.request;
  const path =
    params === routed.match.params ? routed.path : canonicalPath({ ...routed.match, params }, routed.version);
  return {
    method: head.method,
    target: query === '' ? path : `${path}?${query}`,
    minorVersion: head.minorVersion,
    fields: head.passed,
    contentType: body.kind === 'none' ? undefined : contentType(head, body),
    body,
    upgrade: upgradeFor(routed.route, head.upgrade),
    expectsContinue: body.kind === 'stream' && head.expectsContinue,
  };
}

function engineBody(exchange: Exchange, { routed, allowed, list }: Errand): EngineRequestBody {
  const json = allowed.request.body ?? list;
  if (json !== undefined) return { kind: 'bytes', bytes: Buffer.from(stringifyJson(json)) };
  const { body } = exchange;
  if (routed.route.body !== 'stream' || body.kind === 'none') return { kind: 'none' };
  return { kind: 'stream', length: body.announced };
}

/** JSON, with parameters that are well-formed (RFC 9110, 5.6.6). */
const jsonContent = /^application\/json[\t ]*(;[\t ]*([\w!#$&^.+-]+=([\w!#$&^.+-]+|"[^"\\]*")[\t ]*)?)*$/i;

/**
 * JSON is announced as just that, without parameters: the bytes are ours, and UTF-8. Another type, and one that can't
 * be parsed, stays as it is, so that the engine refuses it in its own words.
 */
function contentType(head: RequestHead, body: EngineRequestBody): string | undefined {
  if (body.kind === 'bytes' && jsonContent.test(head.contentType ?? '')) return 'application/json';
  return head.contentType;
}

/** Forwards a request that makes a container: the client learns of it only when it stands in the ledger. */
async function forwardBooked(
  exchange: Exchange,
  request: EngineRequest,
  { booking, readers }: { readonly booking: Booking } & Required<Pick<ForwardOptions, 'readers'>>,
  proxy: ProxyContext,
): Promise<void> {
  let settled = false;
  try {
    const [outcome] = await Promise.all([
      forward(exchange, request, proxy.pool, { hold: true, readers }),
      booking.durable,
    ]);
    if (outcome.kind !== 'held') return noteFailure(exchange, outcome);
    const containerId = createdContainer(outcome.answer);
    if (containerId !== undefined) {
      booking.settle(containerId);
      settled = true;
      exchange.findings.objects = [containerId];
    }
    outcome.answer.release();
  } finally {
    if (!settled) booking.abandon();
  }
}

/** Forwards a request that is seen through, whether its client waits for the answer or not. */
async function forwardToTheEnd(
  exchange: Exchange,
  request: EngineRequest,
  proxy: ProxyContext,
): Promise<void> {
  const outcome = await forward(exchange, request, proxy.pool, { hold: true });
  if (outcome.kind === 'held') outcome.answer.release();
  else noteFailure(exchange, outcome);
}

function openTunnel(
  exchange: Exchange,
  engine: TunnelEnd,
  allowed: AllowedRequest,
  proxy: ProxyContext,
): Tunnel {
  if (allowed.request.route.name === 'build.grpc')
    return openGrpc(exchange, new EngineHttp2(engine), allowed, proxy);
  return { closed: tunnel(exchange.connection.takeOver(), engine) };
}

/** @throws ProxyError when the engine doesn't serve HTTP/2 without an upgrade, or either side is gone */
async function openHttp2(exchange: Exchange, allowed: AllowedRequest, proxy: ProxyContext): Promise<Tunnel> {
  const engine = proxy.pool.fresh().handOver();
  exchange.watch({ clientGone: () => engine.socket.destroy() });
  const upstream = await openPriorKnowledge(engine).finally(() => exchange.throwIfGone());
  exchange.watch(undefined);
  exchange.status = 200;
  return openGrpc(exchange, upstream, allowed, proxy);
}

/** Joins the client's connection with a session of the engine's BuildKit, however that was opened. */
function openGrpc(
  exchange: Exchange,
  upstream: EngineHttp2,
  { request, facts }: AllowedRequest,
  proxy: ProxyContext,
): Tunnel {
  const client = exchange.connection.takeOver();
  const judge = proxy.judgeGrpc(request, facts);
  return { closed: terminateGrpc(client, upstream, judge, grpcWatcher(exchange, proxy)) };
}

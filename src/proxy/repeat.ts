/**
 * The short way of a request that is the last one on its connection again, to the byte, and whose judgement still
 * holds: it goes to the engine as it went before. Clients that watch something ask so, and all that is done for them
 * is what must be done anew. It must never take a request that the long way would treat otherwise.
 */
import type { ProxyContext } from './context.js';
import { type EarlierJudgement, holding } from './earlier-judgement.js';
import { type EngineRequest, writeEngineHead } from './engine-request.js';
import type { Exchange } from './exchange.js';
import { type ForwardOptions, type ForwardOutcome, noteFailure, startForwarding } from './forward.js';
import type { AllowedRequest } from './judge.js';
import { record } from './record.js';
import { refuse } from './refuse.js';
import type { RoutedRequest } from './route-request.js';

/** How a request was sent. */
export interface Way {
  readonly routed: RoutedRequest;
  readonly request: EngineRequest;
  readonly options: ForwardOptions;
}

/** Keeps how an allowed request is sent, where its judgement is one that may be used again. */
export function keepWay({ connection }: Exchange, allowed: AllowedRequest, way: Way): void {
  const { earlier } = connection;
  if (earlier?.allowed !== allowed || earlier.way !== undefined || way.request.body.kind !== 'none') return;
  earlier.way = { ...way, request: { ...way.request, written: writeEngineHead(way.request) } };
}

/** Sends the request on the short way, where there is one. @returns whether it is under way, or failed on it */
export function repeat(exchange: Exchange, proxy: ProxyContext): boolean {
  const { earlier } = exchange.connection;
  if (earlier?.way === undefined || proxy.draining || !stillHolds(exchange, proxy)) return false;
  send(exchange, earlier, earlier.way, proxy);
  return true;
}

/** What can't be seen at once, or fails, is asked for again on the long way, and heard of there. */
function stillHolds(exchange: Exchange, proxy: ProxyContext): boolean {
  try {
    const engine = proxy.facts.engine();
    if (!(engine instanceof Promise)) return holding(exchange, engine, proxy) !== undefined;
    engine.catch(() => undefined);
    return false;
  } catch {
    return false;
  }
}

function send(
  exchange: Exchange,
  { asked, allowed }: EarlierJudgement,
  { routed, request, options }: Way,
  proxy: ProxyContext,
): void {
  const { findings, reached } = exchange;
  findings.routed = routed;
  findings.asked = asked;
  findings.verdict = allowed.verdict;
  reached.read = performance.now();
  reached.judged = reached.read;
  const failed = (error: unknown): void => {
    refuse(exchange, error, proxy);
    record(exchange, proxy);
  };
  const ended = (outcome: ForwardOutcome): void => {
    noteFailure(exchange, outcome);
    record(exchange, proxy);
  };
  try {
    startForwarding({ exchange, request, pool: proxy.pool, options, end: { ended, failed } });
  } catch (error) {
    failed(error);
  }
}

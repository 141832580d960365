/**
 * The spine: the way of every request, phase by phase, in the order in which they happen. Whatever ends a request,
 * its record is written. It must never reach a later phase with an earlier one undone.
 */
import { book } from './bookkeeping.js';
import { carryOut } from './carry-out.js';
import type { ProxyContext } from './context.js';
import { holding } from './earlier-judgement.js';
import type { Exchange } from './exchange.js';
import { describeRequest, judge } from './judge.js';
import { readBody, readsBody } from './read-body.js';
import { record } from './record.js';
import { refuse } from './refuse.js';
import { repeat } from './repeat.js';
import { routeRequest } from './route-request.js';
import type { Turn } from './volume-turns.js';

/** Takes one request from its head to its record. */
export function handle(exchange: Exchange, proxy: ProxyContext): void {
  if (!repeat(exchange, proxy)) void handleAnew(exchange, proxy);
}

/** Never rejects. */
async function handleAnew(exchange: Exchange, proxy: ProxyContext): Promise<void> {
  let turn: Turn | undefined;
  try {
    // head, route: what is asked, in the only way it can be read
    const routed = routeRequest(exchange.requireHead());
    exchange.findings.routed = routed;
    exchange.throwIfDraining(proxy.draining);
    const known = proxy.facts.engine();
    const engine = known instanceof Promise ? await known : known;

    const earlier = holding(exchange, engine, proxy);

    // body: JSON is read and typed, streams stay where they are
    const json =
      earlier === undefined && readsBody(exchange, routed)
        ? await readBody(exchange, routed, routed.version ?? engine.apiVersion)
        : {};
    exchange.reached.read = performance.now();

    // lookup, evaluate, apply: the request as the engine is to get it, or a refusal
    const asked = earlier?.asked ?? describeRequest(exchange, routed, json, engine, proxy);
    exchange.findings.asked = asked;
    if (earlier === undefined) turn = proxy.volumeTurns.begin(asked);
    if (turn?.awaited !== undefined) await turn.awaited;
    const judged = earlier?.allowed ?? judge(exchange, asked, proxy);
    const allowed = judged instanceof Promise ? await judged : judged;
    exchange.findings.verdict = allowed.verdict;
    exchange.reached.judged = performance.now();

    // bookkeeping begins: noted before the engine hears of it
    const booking = book(allowed, proxy);

    // forward, hijack or h2c; bookkeeping ends before the client has the answer
    await carryOut(exchange, { routed, list: json.list, allowed, booking }, proxy);
  } catch (error) {
    refuse(exchange, error, proxy);
  } finally {
    turn?.end();
    record(exchange, proxy);
  }
}

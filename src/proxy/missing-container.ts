/**
 * Requests about a container that isn't there. The engine is asked to show it, and its own refusal is what the client
 * gets: whatever takes that name between our look and the engine's is never touched, because nobody has judged it.
 */
import { canonicalPath, type Route, routes } from '../engine/routes.js';
import type { EnginePool } from './engine-pool.js';
import type { EngineRequest } from './engine-request.js';
import type { Exchange } from './exchange.js';
import { type ForwardOutcome, forward } from './forward.js';
import { RequestProblems, type RoutedRequest } from './route-request.js';

const inspect: Route | undefined = routes.find(({ name }) => name === 'container.inspect');

/**
 * Answers a request about a missing container in the engine's words.
 * @param request as it would have been sent
 * @param reference the container as the client named it
 * @throws RequestProblems when the body is still on its way, or the container is there now
 */
export async function answerMissing(
  exchange: Exchange,
  request: EngineRequest,
  { reference, version }: { readonly reference: string; readonly version: RoutedRequest['version'] },
  pool: EnginePool,
): Promise<ForwardOutcome> {
  if (inspect === undefined || request.body.kind === 'stream') throw noSuchContainer(reference);
  const look: EngineRequest = {
    ...request,
    method: request.method === 'HEAD' ? 'HEAD' : 'GET',
    target: canonicalPath({ route: inspect, params: { id: reference } }, version),
    contentType: undefined,
    body: { kind: 'none' },
    upgrade: undefined,
    expectsContinue: false,
  };
  const outcome = await forward(exchange, look, pool, { hold: true });
  if (outcome.kind !== 'held') return outcome;
  if (outcome.answer.head.status < 400) throw noSuchContainer(reference);
  outcome.answer.release();
  return { kind: 'answered' };
}

function noSuchContainer(reference: string): RequestProblems {
  const text = `No such container: ${reference}`;
  return new RequestProblems([
    { status: 404, field: 'path', reason: text, remedy: 'Name a container that exists.', text },
  ]);
}

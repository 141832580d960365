/**
 * What a client is told when its request ends without an answer of the engine, and what the log is told. Maps every
 * kind of error to a status and Docker's JSON; it must never tell a client what only the administrator may know.
 */
import { EngineError } from '../engine/client.js';
import { denialBody } from '../rules/message.js';
import type { ProxyContext } from './context.js';
import { ProxyError } from './errors.js';
import type { Exchange } from './exchange.js';
import { RequestRefused } from './judge.js';
import { type ErrorBody, replyWithError } from './reply.js';
import { RequestProblems } from './route-request.js';

/** Ends an exchange with an error: answered where that is still possible, broken off where it isn't. */
export function refuse(exchange: Exchange, error: unknown, { log }: Pick<ProxyContext, 'log'>): void {
  exchange.findings.error = error;
  const unexpected = !(
    error instanceof ProxyError ||
    error instanceof EngineError ||
    error instanceof RequestRefused ||
    error instanceof RequestProblems
  );
  if (unexpected || (error instanceof ProxyError && error.side === 'proxy')) {
    log.error({ err: error }, 'a request failed');
  }
  if (exchange.gone) return;
  if (exchange.answering) return void exchange.connection.socket.destroy();
  const { status, body } = answerTo(error);
  replyWithError(exchange, status, body);
}

function answerTo(error: unknown): { readonly status: number; readonly body: ErrorBody } {
  if (error instanceof RequestRefused) {
    const { status, message, refusals } = denialBody(error.denials);
    return { status, body: { message, refusals } };
  }
  if (error instanceof RequestProblems) return { status: error.status, body: { message: error.message } };
  if (error instanceof ProxyError)
    return { status: error.status, body: { message: `${prefixOf(error)}${error.message}` } };
  // A look-up of ours failed: without its facts nothing can be judged.
  if (error instanceof EngineError) return { status: 502, body: { message: `cofferdam: ${error.message}` } };
  return {
    status: 500,
    body: { message: 'cofferdam: the request could not be handled; see the log of cofferdam' },
  };
}

/** Where we answer in the engine's place, we use its words. */
function prefixOf({ code }: ProxyError): string {
  return code === 'COFFERDAM_NO_SUCH_FILE' ? '' : 'cofferdam: ';
}

/**
 * The phase *body*: reads a JSON body completely, parses it as the engine would, and types it. What was read is what
 * is judged, and what was judged is what is sent. Streams aren't touched here.
 */
import { typeBody } from '../engine/body.js';
import { type JsonArray, type JsonObject, JsonProblem, parseGoJson } from '../engine/json.js';
import { ProxyError } from './errors.js';
import type { Exchange } from './exchange.js';
import { RequestProblems, type RoutedRequest } from './route-request.js';

/** Most bytes of a JSON body: four times what the largest one has, a secret or config of 1000 KiB in base64. */
export const jsonBodyLimit = 4 << 20;

/** The JSON of a request's body: an object, or the list that a few plugin endpoints take. */
export interface JsonBody {
  readonly body?: JsonObject;
  readonly list?: JsonArray;
}

/** False for streams, and for requests without a body to endpoints that take none: nothing is to be read. */
export function readsBody({ body }: Exchange, { route }: RoutedRequest): boolean {
  return route.body === 'json' || (route.body === 'none' && body.kind !== 'none');
}

/**
 * The judged part of a request's body; empty where the body is a stream or there is none.
 * @param apiVersion of the request
 * @throws ProxyError 400 or 413; RequestProblems for JSON that can't be judged
 */
export async function readBody(
  exchange: Exchange,
  { route }: RoutedRequest,
  apiVersion: string,
): Promise<JsonBody> {
  const bytes = exchange.body.kind === 'none' ? undefined : await collectBody(exchange);
  // What the engine doesn't read isn't passed on.
  if (route.body !== 'json') return {};
  const absent = bytes === undefined || bytes.length === 0;
  const typed = typeBody(route, absent ? undefined : parse(bytes), apiVersion);
  if ('problems' in typed) throw new RequestProblems(typed.problems);
  return absent ? {} : typed;
}

async function collectBody(exchange: Exchange): Promise<Buffer> {
  const { body, head, connection } = exchange;
  if (head?.expectsContinue === true && !body.finished && (body.announced ?? 0) <= jsonBodyLimit) {
    connection.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
  }
  return await body.collect(jsonBodyLimit);
}

function parse(bytes: Buffer): ReturnType<typeof parseGoJson> {
  try {
    return parseGoJson(bytes);
  } catch (error) {
    if (error instanceof JsonProblem)
      throw new ProxyError('COFFERDAM_BAD_BODY', error.message, { cause: error });
    throw error;
  }
}

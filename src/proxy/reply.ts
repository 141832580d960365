/**
 * Answers of our own: always Docker's JSON, so that every client can show the message.
 */
import { refuseHttp2 } from './client-http2.js';
import type { Exchange } from './exchange.js';

/** Body of an error answer: Docker's `message`, and more for programs where there is more. */
export interface ErrorBody {
  readonly message: string;
  readonly [key: string]: unknown;
}

const reasonPhrases: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  505: 'HTTP Version Not Supported',
};

/** Answers the exchange with an error, and closes the connection where the end of the request isn't known. */
export function replyWithError(exchange: Exchange, status: number, error: ErrorBody): void {
  const { connection, head } = exchange;
  exchange.status = status;
  if (exchange.speaksHttp2) {
    refuseHttp2(connection.takeOver(), { status, message: error.message });
    return;
  }
  const keepAlive = head?.keepAlive === true && exchange.body.finished;
  const body = `${JSON.stringify(error)}\n`;
  const text = [
    `HTTP/1.1 ${status} ${reasonPhrases[status] ?? 'Error'}`,
    'Content-Type: application/json',
    `Date: ${new Date().toUTCString()}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(keepAlive ? [] : ['Connection: close']),
    '',
    head?.method === 'HEAD' ? '' : body,
  ].join('\r\n');
  connection.socket.write(text);
  connection.answered(exchange, keepAlive);
}

/**
 * The proxy's errors: each with a stable code, the HTTP status that the client gets, and whose fault it is.
 * Nobody compares error texts; a new kind of failure gets a code here. It must never carry request bodies or
 * credentials: messages end up in logs and in the client's terminal.
 */

/** Whose fault an error is: the client's, the administrator's policy, ours, or the engine's. */
export type Side = 'client' | 'policy' | 'proxy' | 'engine';

const catalogue = {
  COFFERDAM_BAD_HEAD: { status: 400, side: 'client' },
  COFFERDAM_BAD_BODY: { status: 400, side: 'client' },
  COFFERDAM_BAD_TARGET: { status: 400, side: 'client' },
  COFFERDAM_UNKNOWN_ENDPOINT: { status: 404, side: 'client' },
  COFFERDAM_METHOD_NOT_ALLOWED: { status: 405, side: 'client' },
  COFFERDAM_HEAD_TIMEOUT: { status: 408, side: 'client' },
  COFFERDAM_BODY_TOO_LARGE: { status: 413, side: 'client' },
  COFFERDAM_UNSUPPORTED_BODY: { status: 415, side: 'client' },
  COFFERDAM_EXPECTATION_FAILED: { status: 417, side: 'client' },
  COFFERDAM_HEAD_TOO_LARGE: { status: 431, side: 'client' },
  COFFERDAM_HTTP_VERSION: { status: 505, side: 'client' },
  COFFERDAM_NO_SUCH_FILE: { status: 404, side: 'client' },
  COFFERDAM_UNPACK: { status: 400, side: 'client' },
  COFFERDAM_CLIENT_GONE: { status: 499, side: 'client' },
  COFFERDAM_REFUSED: { status: 403, side: 'policy' },
  COFFERDAM_INTERNAL: { status: 500, side: 'proxy' },
  COFFERDAM_DRAINING: { status: 503, side: 'proxy' },
  COFFERDAM_LEDGER: { status: 500, side: 'proxy' },
  COFFERDAM_ENGINE_AWAY: { status: 502, side: 'engine' },
  COFFERDAM_ENGINE_ANSWER: { status: 502, side: 'engine' },
} as const satisfies Record<string, { status: number; side: Side }>;

/** Stable codes of the proxy's errors, as they stand in audit records and logs. */
export type ProxyErrorCode = keyof typeof catalogue;

/** An error that ends one request, and nothing more. */
export class ProxyError extends Error {
  readonly code: ProxyErrorCode;
  /** HTTP status of the answer, when an answer can still be given. */
  readonly status: number;
  readonly side: Side;

  constructor(code: ProxyErrorCode, message: string, options?: { cause?: unknown; status?: number }) {
    super(message, options);
    this.name = 'ProxyError';
    this.code = code;
    this.status = options?.status ?? catalogue[code].status;
    this.side = catalogue[code].side;
  }
}

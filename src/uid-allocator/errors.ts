/**
 * The allocator's errors. Callers tell them apart by `code`, never by text.
 */

export type AllocatorErrorCode =
  /** Every block of the pool is in use or reserved by the host. */
  | 'COFFERDAM_RANGES_EXHAUSTED'
  /** A file of the ledger can't be believed: torn, foreign, or at odds with another. */
  | 'COFFERDAM_LEDGER_DAMAGED'
  /** The ledger's folder can't be read or written. */
  | 'COFFERDAM_LEDGER_UNAVAILABLE'
  /** /etc/subuid, /etc/subgid, /etc/passwd or /etc/group can't be read. */
  | 'COFFERDAM_HOST_IDS_UNREADABLE';

export class AllocatorError extends Error {
  readonly code: AllocatorErrorCode;
  /** The file that the error is about. */
  readonly file: string | undefined;

  constructor(code: AllocatorErrorCode, message: string, details: { file?: string; cause?: unknown } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'AllocatorError';
    this.code = code;
    this.file = details.file;
  }
}

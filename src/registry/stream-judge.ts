/**
 * What the proxy asks about a request body that streams through: each chunk is shown before it goes on. Types only.
 */

/** Why a stream may not go on. */
export interface StreamRefusal {
  readonly kind: 'deny';
  /** What the user reads. */
  readonly text: string;
  /** The setting that decides, for the audit log. */
  readonly setting: string;
}

/**
 * Looks at a body as it streams by. The proxy calls `chunk` for each piece and sends it only when the answer is
 * undefined, then `end` before it ends the request to the engine. After a refusal the connection to the engine is
 * destroyed, never ended, and the client gets the refusal.
 */
export interface StreamJudge {
  chunk(bytes: Uint8Array): Promise<StreamRefusal | undefined>;
  end(): Promise<StreamRefusal | undefined>;
  /** Frees what the judge holds, on every way out. */
  close(): void;
}

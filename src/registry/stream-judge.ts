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

/** Sends a piece of content to the engine. Resolves when the engine takes more. */
export type SendPiece = (piece: Uint8Array) => Promise<void>;

/**
 * Looks at a body as it streams by. The proxy calls `chunk` for each piece and sends it only when the answer is
 * undefined, then `end` before it ends the request to the engine. After a refusal the connection to the engine is
 * destroyed, never ended, and the client gets the refusal.
 */
export interface StreamJudge {
  chunk(bytes: Uint8Array): Promise<StreamRefusal | undefined>;
  end(): Promise<StreamRefusal | undefined>;
  /**
   * Called before the first chunk where the judge may send other bytes than the client's. Without it, it can't.
   * @param send only for use while `chunk` or `end` is under way
   */
  replaceWith?(send: SendPiece): void;
  /** True once the judge sends everything itself: the chunks that it is shown don't go on. */
  readonly replaces?: boolean;
  /** True once nothing more is looked at: what follows goes on as it comes, all but the piece that ends the body. */
  readonly passesOn?: boolean;
  /** Frees what the judge holds, on every way out. */
  close(): void;
}

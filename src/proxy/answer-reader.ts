/**
 * What reads a whole answer of the engine before its client gets it, to note something in it or to word something
 * anew. Only short answers are read; a longer one passes as it is.
 */
import type { AnswerHead } from './answer-head.js';

/** An answer that came in whole. */
export interface WholeAnswer {
  readonly head: AnswerHead;
  /** The body without chunk framing. */
  readonly content: Buffer;
}

export interface AnswerReader {
  /** Most bytes of an answer with this status that are read; 0 for answers that are not this reader's. */
  limit(status: number): number;
  /** @returns what the client gets; undefined for just what the engine sent */
  read(answer: WholeAnswer): [head: AnswerHead, body: Buffer] | undefined;
}

/** Enough for the engine's errors and for its answers about what it made, in bytes: they have a few hundred. */
export const shortAnswer = 64 * 1024;

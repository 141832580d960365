/**
 * What is wrong with a request that can't be judged as it is: malformed, ambiguous, or for an endpoint that doesn't
 * exist. Has the parts of a rule's denial, so that a client reads both in the same form.
 */
export interface RequestProblem {
  /** HTTP status of the answer: 400 malformed or ambiguous, 404 no such endpoint. */
  readonly status: 400 | 404;
  /** RFC 6901 JSON pointer into the body, `query:NAME`, `header:NAME`, or `path`. */
  readonly field: string;
  /** What is wrong, in words. */
  readonly reason: string;
  /** What the client can do instead. */
  readonly remedy: string;
  /** When set, the message is exactly this text: dockerd's own. */
  readonly text?: string;
}

/**
 * Why a container isn't started, in words that reach the docker command line. Everything that the runtime refuses
 * or can't do ends as one of these; nobody compares its text.
 */

export type RefusalCode =
  /** What the container asks for would reach out of its user namespace. */
  | 'COFFERDAM_RUNTIME_REFUSED'
  /** The bundle or the command line isn't what a container engine writes. */
  | 'COFFERDAM_RUNTIME_BUNDLE'
  /** This host lacks something that isolation needs. */
  | 'COFFERDAM_RUNTIME_HOST';

export class RuntimeRefusal extends Error {
  override readonly name = 'RuntimeRefusal';

  constructor(
    readonly code: RefusalCode,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/** A refusal for a container that asks for more than it may have. */
export function refused(reason: string): RuntimeRefusal {
  return new RuntimeRefusal('COFFERDAM_RUNTIME_REFUSED', `enhanced container isolation: ${reason}`);
}

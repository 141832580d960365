/**
 * What the doctor finds: one line for each thing that isolation needs, with what to do where it isn't as it should be.
 */
export interface Check {
  /** What was looked at, in a few words. */
  readonly name: string;
  /** `warning`: works, but not as well or as safely as it could. */
  readonly outcome: 'ok' | 'warning' | 'bad';
  readonly detail: string;
  /** What to do; absent when there is nothing to do. */
  readonly remedy?: string;
}

export function ok(name: string, detail: string): Check {
  return { name, outcome: 'ok', detail };
}

export function warning(name: string, detail: string, remedy: string): Check {
  return { name, outcome: 'warning', detail, remedy };
}

export function bad(name: string, detail: string, remedy: string): Check {
  return { name, outcome: 'bad', detail, remedy };
}

/** The text of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Runs a check; one that throws is a bad finding, never the end of the examination. */
export async function guarded(
  name: string,
  remedy: string,
  look: () => Promise<Check> | Check,
): Promise<Check> {
  try {
    return await look();
  } catch (error) {
    return bad(name, reasonOf(error), remedy);
  }
}

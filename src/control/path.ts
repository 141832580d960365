/**
 * Where the control socket is.
 */
import { join } from 'node:path';

/** The control socket of a run folder. */
export function controlPath(runDir: string): string {
  return join(runDir, 'control.sock');
}

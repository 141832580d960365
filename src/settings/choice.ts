/**
 * What a user of the socket chose about isolation, where the administrator left it unlocked. Kept in the state
 * folder, which only root can write: users change it through the daemon, never by themselves.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';

const isolationChoiceSchema = z
  .object({
    value: z.boolean(),
    /** Who chose it. */
    uid: z.number().int().min(0),
    /** When, in milliseconds since the epoch. */
    at: z.number(),
  })
  .readonly();
export type IsolationChoice = z.infer<typeof isolationChoiceSchema>;

/** The file that holds the choice. */
export function choicePath(stateDir: string): string {
  return join(stateDir, 'isolation.json');
}

/** The choice that was made on this host; `undefined` when none was, or when its file can't be understood. */
export function readChoice(stateDir: string): IsolationChoice | undefined {
  try {
    return isolationChoiceSchema.parse(JSON.parse(readFileSync(choicePath(stateDir), 'utf8')));
  } catch {
    // Without a readable choice the administrator's own value holds, which is never weaker than what was locked.
    return undefined;
  }
}

/** Notes a choice durably enough to survive a crash of the daemon: written aside, then renamed into place. */
export function writeChoice(stateDir: string, choice: IsolationChoice): void {
  const path = choicePath(stateDir);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${JSON.stringify(choice)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Forgets the choice: the settings' own value holds again. */
export function removeChoice(stateDir: string): void {
  rmSync(choicePath(stateDir), { force: true });
}

/** What an attack leaves on the host, and folders for it. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { HostUser } from './host-user.js';

/** A folder of a user's own on the host. */
export async function folderOf(user: HostUser, name: string, mode = '755'): Promise<string> {
  await user.shell(`mkdir -p ${name} && chmod ${mode} ${name} && chmod 711 .`);
  return join(user.home, name);
}

export function isRootSetuid(path: string): boolean {
  const status = lstatSync(path, { throwIfNoEntry: false });
  return status?.uid === 0 && (status.mode & 0o4000) !== 0;
}

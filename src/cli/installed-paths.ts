/**
 * Where things are on a host with an installation: the daemon in the engine's place, the engine out of reach.
 */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';

/** Where docker clients look, and where the daemon listens once it is installed. */
export const dockerSocket = '/run/docker.sock';

/** The engine's own socket then: in a folder that only root can enter. */
export const engineSocketPath = '/run/cofferdam-engine/docker.sock';

/** True on a host with an installation; any account can see the folder, whether or not it may enter it. */
export function hostHasInstallation(): boolean {
  return existsSync(dirname(engineSocketPath));
}

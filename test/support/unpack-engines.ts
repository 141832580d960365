/** Vitest's global set-up of the engine tests: the first run fetches the engines here, not within a test's time. */
import { engineFiles, engineVersions } from './engine-releases.js';

export async function setup(): Promise<void> {
  for (const version of engineVersions) await engineFiles(version);
}

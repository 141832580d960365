/**
 * The mounts that a backend needs until its `create` or `run` is past the container's start: every one lies in one
 * tmpfs per container that names the process it was made for, so that taking that one mount away takes all of
 * them, and a start that died can be told from one that lives. Removing never descends into a folder: what is
 * under a mount belongs to somebody.
 */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { lockFile } from '../system/flock.js';
import { MountTable } from '../system/mount-table.js';
import { detach, mountPrivateBind, mountTmpfs } from '../system/mounts.js';
import { namespaceInode } from '../system/namespaces.js';
import { isAlive, processIdentity } from '../system/process-identity.js';
import { SystemCallError } from '../system/system-error.js';
import { RuntimeRefusal } from './refusal.js';

/** The runtime's own folder in the run folder. */
export function runtimeFolder(runDir: string): string {
  return join(resolve(runDir), 'runtime');
}

function stagesFolder(runDir: string): string {
  return join(runtimeFolder(runDir), 'mounts');
}

/**
 * Makes the folder in which stages are mounted: private, so that no mount event leaves it, and searchable by
 * everybody, because a container's first process looks its root up with the container's own ids.
 * @throws RuntimeRefusal COFFERDAM_RUNTIME_HOST when a parent folder isn't searchable by others
 */
export function openStages(runDir: string): void {
  const folder = stagesFolder(runDir);
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  for (const path of [runtimeFolder(runDir), folder]) chmodSync(path, 0o711);
  requireSearchable(folder);
  const unlock = lockFile(join(runtimeFolder(runDir), 'lock'));
  try {
    if (MountTable.read().at(folder) === undefined) mountPrivateBind(folder);
  } finally {
    unlock();
  }
}

function requireSearchable(folder: string): void {
  for (let path = folder; path !== '/'; path = dirname(path)) {
    if ((statSync(path).mode & 0o001) === 0) {
      throw new RuntimeRefusal(
        'COFFERDAM_RUNTIME_HOST',
        `the run folder must be searchable by containers' users, but ${path} isn't: chmod o+x ${path}, or choose another with --run-dir`,
      );
    }
  }
}

/** Whose mounts a stage holds: written into the stage itself, so that it goes away with the mounts. */
const ownerSchema = z.object({
  pid: z.number().int().positive(),
  startTime: z.string(),
  /** Where the backend writes the id of the container's first process; empty when it ends with the container. */
  pidFile: z.string(),
});
type Owner = z.infer<typeof ownerSchema>;

/**
 * One container's mounts, in `mounts/ID`: a tmpfs that holds everything until the start is over. What stays while
 * the container runs is an empty folder `root` under it, and a file with the id of the container's first process:
 * runc's \`exec\` changes into the root folder of the specification before it enters the container.
 */
export class Stage {
  readonly folder: string;
  /** Where the container's root is to be mounted. */
  readonly root: string;
  #next = 0;

  /** Makes the stage of a container, after taking away what an earlier start of the same one left. */
  constructor(runDir: string, containerId: string, owner: Owner) {
    this.folder = join(stagesFolder(runDir), containerId);
    this.root = join(this.folder, 'root');
    removeStage(this.folder);
    mkdirSync(this.root, { recursive: true, mode: 0o711 });
    mountTmpfs(this.folder, 'mode=0711,size=1m');
    mkdirSync(this.root, { mode: 0o711 });
    writeFileSync(join(this.folder, 'owner'), JSON.stringify(owner));
  }

  /** A new folder in the stage to mount something at. */
  newFolder(prefix: string): string {
    const path = this.newName(prefix);
    mkdirSync(path, { mode: 0o711 });
    return path;
  }

  /** A path in the stage that nothing has yet. */
  newName(prefix: string): string {
    this.#next += 1;
    return join(this.folder, `${prefix}-${this.#next}`);
  }

  /** Takes everything away: the container doesn't start after all. */
  remove(): void {
    removeStage(this.folder);
  }
}

/** Takes away a stage's mounts and folders. Only ever empty folders and our own file are removed. */
function removeStage(folder: string): void {
  detachAll(folder);
  for (const [remove, path] of [
    [unlinkSync, join(folder, 'init')],
    [rmdirSync, join(folder, 'root')],
    [rmdirSync, folder],
  ] as const) {
    try {
      remove(path);
    } catch (problem) {
      if (!isMissing(problem)) throw problem;
    }
  }
}

function detachAll(folder: string): void {
  for (;;) {
    try {
      detach(folder);
    } catch (problem) {
      // EINVAL: nothing (more) is mounted there.
      if (!(problem instanceof SystemCallError) || !['EINVAL', 'ENOENT'].includes(problem.code))
        throw problem;
      return;
    }
  }
}

function isMissing(problem: unknown): boolean {
  return problem instanceof Error && 'code' in problem && problem.code === 'ENOENT';
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (problem) {
    if (isMissing(problem)) return undefined;
    throw problem;
  }
}

/** True while a container's first process runs: a process in a user namespace that isn't ours. */
function isContainerRunning(pidText: string | undefined): boolean {
  const pid = Number(pidText?.trim() || Number.NaN);
  if (!Number.isSafeInteger(pid) || processIdentity(pid) === undefined) return false;
  const namespace = namespaceInode(pid, 'user');
  return namespace !== undefined && namespace !== namespaceInode('self', 'user');
}

/** What a container's stage is there for: its start, the time that it runs, or nothing any more. */
export type StageUse = 'starting' | 'running' | 'gone';

/** Takes away the mounts of starts that are over, and every trace of containers that have ended. */
export function sweepStages(runDir: string): void {
  for (const name of stageNames(runDir)) sweepStage(runDir, name);
}

/** Does the same for a single container. @returns what its stage is there for by now */
export function sweepStage(runDir: string, containerId: string): StageUse {
  const folder = join(stagesFolder(runDir), containerId);
  const written = readIfThere(join(folder, 'owner'));
  if (written === undefined) {
    if (isContainerRunning(readIfThere(join(folder, 'init')))) return 'running';
  } else {
    const owner = parseOwner(written);
    if (owner !== undefined && isAlive(owner)) return 'starting';
    const init = owner?.pidFile ? readIfThere(owner.pidFile) : undefined;
    if (isContainerRunning(init)) {
      detachAll(folder);
      writeFileSync(join(folder, 'init'), init ?? '', { mode: 0o600 });
      return 'running';
    }
  }
  removeStage(folder);
  return 'gone';
}

/** A stage whose owner was cut off while it was written belongs to nobody. */
function parseOwner(text: string): Owner | undefined {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function stageNames(runDir: string): readonly string[] {
  try {
    return readdirSync(stagesFolder(runDir));
  } catch (problem) {
    if (isMissing(problem)) return [];
    throw problem;
  }
}

/** Takes the folder of stages away when no stage is left. */
export function closeStages(runDir: string): void {
  sweepStages(runDir);
  if (stageNames(runDir).length > 0) return;
  const unlock = lockFile(join(runtimeFolder(runDir), 'lock'));
  try {
    detachAll(stagesFolder(runDir));
    rmdirSync(stagesFolder(runDir));
  } finally {
    unlock();
  }
}

/**
 * Puts cofferdam in the place of the engine's socket, and takes it away again. The socket is moved by rename: the
 * engine goes on listening on the same inode, so live containers and open connections notice nothing, and nothing
 * is restarted. Each step has its way back; a step that fails takes back those before it.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { dockerSocketDropIn, serviceUnit, socketUnit } from './systemd-units.js';

/** Where things are; tests use folders of their own. */
export interface InstallationPlace {
  readonly unitFolder: string;
  readonly stateDir: string;
  /** Where clients expect the engine. */
  readonly dockerSocket: string;
  /** Number of the group docker; 0 where there is none. */
  readonly dockerGroup: number;
  /** Where the engine's socket goes. */
  readonly engineSocket: string;
  /** The command line of the daemon. */
  readonly command: readonly string[];
  /** Runs systemctl; throws when it fails. */
  readonly systemctl: (...argv: string[]) => void;
  readonly say: (text: string) => void;
}

const noteSchema = z.object({
  version: z.literal(1),
  /** Owner and mode of the engine's socket before. */
  socket: z.object({ uid: z.number(), gid: z.number(), mode: z.number() }).optional(),
  files: z.array(z.string()),
});
type Note = z.infer<typeof noteSchema>;

const unitName = 'cofferdam.service';
const socketName = 'cofferdam.socket';
/** Where no engine listens yet, there is no socket to take after: root's alone, and the group docker's where there is one. */
const usualMode = 0o660;

function notePath(place: InstallationPlace): string {
  return join(place.stateDir, 'installation.json');
}

function readNote(place: InstallationPlace): Note | undefined {
  const path = notePath(place);
  return existsSync(path) ? noteSchema.parse(JSON.parse(readFileSync(path, 'utf8'))) : undefined;
}

function writeNote(place: InstallationPlace, note: Note): void {
  writeFileSync(notePath(place), `${JSON.stringify(note, null, 2)}\n`, { mode: 0o600 });
}

function unitFiles(place: InstallationPlace, socket: Note['socket']): readonly (readonly [string, string])[] {
  const owner = socket ?? { uid: 0, gid: place.dockerGroup, mode: usualMode };
  return [
    [join(place.unitFolder, unitName), serviceUnit(place.command)],
    [join(place.unitFolder, socketName), socketUnit(place.dockerSocket, owner)],
    [join(place.unitFolder, 'docker.socket.d/cofferdam.conf'), dockerSocketDropIn()],
  ];
}

/** What an installation would write and do, for people. */
export function describeInstallation(place: InstallationPlace): string[] {
  return [
    ...unitFiles(place, undefined).map(([path]) => `write ${path}`),
    `move the engine's socket from ${place.dockerSocket} to ${place.engineSocket}, which only root can reach`,
    `start ${socketName} and ${unitName}, which serve ${place.dockerSocket} from then on, also after a reboot`,
  ];
}

/** The engine's socket as it is; `undefined` where there is none. */
function socketState(path: string): Note['socket'] {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isSocket() ? { uid: stats.uid, gid: stats.gid, mode: stats.mode & 0o777 } : undefined;
}

function hideSocket(place: InstallationPlace): void {
  mkdirSync(dirname(place.engineSocket), { recursive: true, mode: 0o700 });
  chmodSync(dirname(place.engineSocket), 0o700);
  renameSync(place.dockerSocket, place.engineSocket);
  chmodSync(place.engineSocket, 0o600);
  chownSync(place.engineSocket, process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
}

function showSocket(place: InstallationPlace, before: NonNullable<Note['socket']>): void {
  if (!existsSync(place.engineSocket)) return;
  chownSync(place.engineSocket, before.uid, before.gid);
  chmodSync(place.engineSocket, before.mode);
  renameSync(place.engineSocket, place.dockerSocket);
  // The folder's presence tells the command line where the engine is.
  rmdirSync(dirname(place.engineSocket));
}

function removeFiles(files: readonly string[]): void {
  for (const file of files) {
    rmSync(file, { force: true });
    try {
      rmdirSync(dirname(file));
    } catch {
      // The folder has files of others, or is gone already.
    }
  }
}

function writeUnits(place: InstallationPlace, socket: Note['socket']): void {
  for (const [path, text] of unitFiles(place, socket)) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o644 });
  }
}

/** True when this host has an installation. */
export function isInstalled(place: InstallationPlace): boolean {
  return readNote(place) !== undefined;
}

/** Installs, or brings an existing installation up to date. Throws after taking everything back. */
export function install(place: InstallationPlace): void {
  const earlier = readNote(place);
  if (earlier !== undefined) {
    update(place, earlier);
    return;
  }
  const undo: (() => void)[] = [];
  try {
    const socket = socketState(place.dockerSocket);
    const note: Note = {
      version: 1,
      files: unitFiles(place, socket).map(([path]) => path),
      ...(socket && { socket }),
    };
    mkdirSync(place.stateDir, { recursive: true, mode: 0o700 });
    undo.push(() => rmSync(notePath(place), { force: true }));
    writeNote(place, note);
    undo.push(() => {
      removeFiles(note.files);
      place.systemctl('daemon-reload');
    });
    writeUnits(place, socket);
    place.systemctl('daemon-reload');
    if (socket !== undefined) {
      undo.push(() => showSocket(place, socket));
      hideSocket(place);
    }
    undo.push(() => place.systemctl('disable', '--now', socketName, unitName));
    place.systemctl('enable', '--now', socketName, unitName);
  } catch (error) {
    for (const step of undo.reverse()) attempt(step, place);
    throw error;
  }
}

/** Writes the units anew. The socket stays open over it: clients wait, and none is refused. */
function update(place: InstallationPlace, earlier: Note): void {
  const files = unitFiles(place, earlier.socket).map(([path]) => path);
  const stale = earlier.files.filter((file) => !files.includes(file));
  writeNote(place, { ...earlier, files });
  removeFiles(stale);
  writeUnits(place, earlier.socket);
  place.systemctl('daemon-reload');
  place.systemctl('restart', unitName);
  place.systemctl('enable', socketName, unitName);
}

/** Runs a step of the way back; the others must follow even when it fails. */
function attempt(step: () => void, place: InstallationPlace): void {
  try {
    step();
  } catch (error) {
    place.say(`could not be taken back: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Takes an installation back; false when there is none. */
export function uninstall(place: InstallationPlace): boolean {
  const note = readNote(place);
  if (note === undefined) return false;
  const { socket } = note;
  attempt(() => place.systemctl('disable', '--now', socketName, unitName), place);
  if (socket !== undefined) attempt(() => showSocket(place, socket), place);
  attempt(() => removeFiles(note.files), place);
  attempt(() => place.systemctl('daemon-reload'), place);
  rmSync(notePath(place), { force: true });
  return true;
}

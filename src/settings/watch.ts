/**
 * Holds the settings in force and follows their sources. A change is taken whole or not at all: while a file is
 * wrong, missing or writable by others, the last good settings stay in force, and the error is logged.
 *
 * The files are watched by looking at their path twice a second. Unlike inotify this sees a file that is
 * replaced by rename, a link that is changed somewhere on the way, a folder that is made later, and file systems
 * that send no events; it costs one stat each. What a path holds is noted before its file is read: fs.watchFile
 * notes it at some time after, and a change between the two would never be seen.
 */
import { statSync } from 'node:fs';
import type { Logger } from 'pino';
import { choicePath, readChoice } from './choice.js';
import { composeSettings, describeChanges, type SettingsSource } from './compose.js';
import { administratorPath, type LoadedSettings, loadSettingsFile } from './load.js';
import { describeIssue } from './problem.js';
import type { Settings } from './schema.js';

const lookEveryMilliseconds = 500;

/** What a path holds, as far as a change of it shows: another text after each write, rename, chmod or removal. */
function fingerprint(path: string): string {
  try {
    const { dev, ino, size, mode, uid, gid, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mode, uid, gid, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

/** What the holder writes to; a pino logger fits. */
export type SettingsLog = Pick<Logger, 'info' | 'warn' | 'error'>;

export interface SettingsHolderOptions {
  /** The file that was named on the command line; absent: the administrator's, else the shipped one. */
  readonly path?: string | undefined;
  /** Where the user's choice about isolation is kept; absent: there is none. */
  readonly stateDir?: string | undefined;
  readonly log: SettingsLog;
}

/** Called after a change, with the new settings and a line for each key that differs. */
export type SettingsListener = (settings: Settings, changes: readonly string[]) => void;

export class SettingsHolder {
  /** The settings in force, complete, defaults filled in. */
  current: Settings;
  /** Counts the changes since the start, from 1: audit records name it. */
  generation = 1;
  /** The file that `current` came from, with its warnings. */
  file: LoadedSettings;
  /** Why the newest file isn't in force; `undefined` when it is. */
  problem: string | undefined;

  private bundle: SettingsSource | undefined;
  private readonly listeners = new Set<SettingsListener>();
  private readonly problemListeners = new Set<(problem: string) => void>();
  /** What each watched path held when its file was last read. */
  private readonly watched = new Map<string, string>();
  private readonly timer: NodeJS.Timeout;

  /** Loads the settings and begins to watch. Throws a SettingsProblem when they can't be used. */
  constructor(private readonly options: SettingsHolderOptions) {
    const paths = [options.path ?? administratorPath];
    if (options.stateDir !== undefined) paths.push(choicePath(options.stateDir));
    for (const path of paths) this.watched.set(path, fingerprint(path));
    this.file = loadSettingsFile(options.path);
    this.current = this.compose();
    this.warn();
    this.timer = setInterval(() => this.look(), lookEveryMilliseconds).unref();
  }

  /** Registers a listener; the returned function removes it. */
  onChange(listener: SettingsListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Registers who is told of a newest file that can't be used, once for each reason; the result removes it. */
  onProblem(listener: (problem: string) => void): () => void {
    this.problemListeners.add(listener);
    return () => this.problemListeners.delete(listener);
  }

  /** Reads the sources again, now. Never throws: what can't be used is logged, and changes nothing. */
  reload(): void {
    let file: LoadedSettings;
    try {
      file = loadSettingsFile(this.options.path);
      // An administrator who removes the file by mistake must not get the shipped, unlocked defaults.
      if (this.file.source === 'administrator' && file.source === 'shipped') {
        throw new Error(`${this.file.path} is gone; restart the daemon to go back to the shipped settings`);
      }
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      const isNew = problem !== this.problem;
      this.problem = problem;
      if (isNew) for (const listener of this.problemListeners) listener(problem);
      this.options.log.error(
        { problem: this.problem },
        'settings not taken over, the last good ones stay in force',
      );
      // A user's choice doesn't wait for the file to be mended.
      this.take(this.compose());
      return;
    }
    this.problem = undefined;
    this.file = file;
    this.warn();
    this.take(this.compose());
  }

  /** Takes a policy bundle: its sections hold where the file doesn't lock them. */
  takeBundle(bundle: SettingsSource): void {
    this.bundle = bundle;
    this.take(this.compose());
  }

  /** Goes back to the file alone: it names no bundle any more. */
  dropBundle(): void {
    this.bundle = undefined;
    this.take(this.compose());
  }

  close(): void {
    clearInterval(this.timer);
    this.listeners.clear();
    this.problemListeners.clear();
  }

  /** Reads the sources again where a path holds something else than when it was last read. */
  private look(): void {
    let changed = false;
    for (const [path, before] of this.watched) {
      const now = fingerprint(path);
      if (now === before) continue;
      this.watched.set(path, now);
      changed = true;
    }
    if (changed) this.reload();
  }

  private compose(): Settings {
    const { stateDir } = this.options;
    const choice = stateDir === undefined ? undefined : readChoice(stateDir);
    return composeSettings(this.file.settings, choice, this.bundle);
  }

  private warn(): void {
    for (const warning of this.file.warnings) this.options.log.warn(describeIssue(this.file.path, warning));
  }

  private take(settings: Settings): void {
    const changes = describeChanges(this.current, settings);
    if (changes.length === 0) return;
    this.current = settings;
    this.generation += 1;
    this.options.log.info(
      { generation: this.generation, changes },
      `settings changed: ${changes.join(', ')}`,
    );
    for (const listener of this.listeners) listener(settings, changes);
  }
}

/**
 * Ids that the host already uses: users and groups, and the subordinate ranges of /etc/subuid and /etc/subgid.
 * A container's range never holds one of them. Reads these four files and nothing else: ids that only a directory
 * service knows have to be kept out with the pool's bounds.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AllocatorError } from './errors.js';

/** `count` ids from `first` on. */
export interface IdSpan {
  readonly first: number;
  readonly count: number;
}

/** A line of /etc/subuid or /etc/subgid (subuid(5)); the owner is a login name or a number. */
export interface SubordinateEntry extends IdSpan {
  readonly owner: string;
}

const decimal = /^[0-9]+$/;

/** Parses subuid(5). A line that isn't one is left out, as shadow's own tools do. */
export function parseSubordinateFile(text: string): SubordinateEntry[] {
  return text.split('\n').flatMap((line) => {
    const [owner, first, count, ...rest] = line.trim().split(':');
    if (!owner || rest.length > 0 || !decimal.test(first ?? '') || !decimal.test(count ?? '')) return [];
    return Number(count) > 0 ? [{ owner, first: Number(first), count: Number(count) }] : [];
  });
}

/** The numeric ids of passwd(5) or group(5): the third field of both; with passwd the primary group too. */
export function parseIds(text: string): number[] {
  return text.split('\n').flatMap((line) => {
    const [, , id, primaryGroup] = line.trim().split(':');
    return [id, primaryGroup].filter((field) => decimal.test(field ?? '')).map(Number);
  });
}

/** The login name of a uid in passwd(5)'s text; undefined when it has none there. */
export function loginNameOf(uid: number, passwd: string): string | undefined {
  const line = passwd.split('\n').find((entry) => entry.split(':')[2] === String(uid));
  return line?.split(':')[0];
}

/** The gid of a group's name in group(5)'s text; undefined when there is none. */
export function idOfGroup(name: string, group: string): number | undefined {
  const id = group
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`))
    ?.split(':')[2];
  return decimal.test(id ?? '') ? Number(id) : undefined;
}

/** The host's own ids as spans; kept until one of the files changes. */
export class HostIds {
  readonly #folder: string;
  #fingerprint = '';
  #spans: readonly IdSpan[] = [];

  /** @param folder where the four files are: `/etc`, but in tests. */
  constructor(folder = '/etc') {
    this.#folder = folder;
  }

  /**
   * Every span in use, newest state of the files.
   * @returns the same array for as long as the files are unchanged
   * @throws AllocatorError COFFERDAM_HOST_IDS_UNREADABLE when a file exists but can't be read
   */
  spans(): readonly IdSpan[] {
    const fingerprint = ['subuid', 'subgid', 'passwd', 'group'].map((name) => this.#stamp(name)).join(' ');
    if (fingerprint !== this.#fingerprint) {
      const subordinate = ['subuid', 'subgid'].flatMap((name) => parseSubordinateFile(this.text(name)));
      const own = ['passwd', 'group'].flatMap((name) => parseIds(this.text(name)));
      this.#spans = [...subordinate, ...own.map((first) => ({ first, count: 1 }))];
      this.#fingerprint = fingerprint;
    }
    return this.#spans;
  }

  /** One file's text; empty when the host has no such file. */
  text(name: string): string {
    const file = join(this.#folder, name);
    try {
      return readFileSync(file, 'utf8');
    } catch (cause) {
      if (isMissing(cause)) return '';
      throw new AllocatorError('COFFERDAM_HOST_IDS_UNREADABLE', `${file} can't be read`, { file, cause });
    }
  }

  #stamp(name: string): string {
    const stat = statSync(join(this.#folder, name), { bigint: true, throwIfNoEntry: false });
    return stat ? `${stat.dev}.${stat.ino}.${stat.size}.${stat.mtimeNs}.${stat.ctimeNs}` : '-';
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

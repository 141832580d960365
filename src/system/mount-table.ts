/**
 * /proc/self/mountinfo, parsed (proc_pid_mountinfo(5)). Only reading.
 */
import { readFileSync } from 'node:fs';

export interface MountEntry {
  /** As the kernel wrote it. */
  readonly line: string;
  readonly id: number;
  readonly parent: number;
  /** `major:minor` of the filesystem. */
  readonly device: string;
  /** The folder of the filesystem that is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
  /** `shared:N`, `master:N`, `propagate_from:N`, `unbindable`. */
  readonly propagation: readonly string[];
  readonly type: string;
  readonly source: string;
  /** The filesystem's own options, each still escaped as the filesystem wrote it. */
  readonly superOptions: readonly string[];
}

/** The kernel writes blank, tab, newline and backslash as octal numbers, everything else as the bytes it is. */
function unescapeField(field: string): string {
  if (/^[\x20-\x5b\x5d-\x7e]*$/.test(field)) return field;
  return Buffer.from(
    field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
    'latin1',
  ).toString('utf8');
}

/** Splits at commas that aren't escaped: a folder's name may hold one. */
function splitOptions(text: string): string[] {
  return text.split(/(?<!\\),/);
}

/** Parses one line. @returns undefined for a line that isn't one */
function parseMountEntry(line: string): MountEntry | undefined {
  const [before, after] = line.split(' - ', 2);
  const [id, parent, device, root, mountPoint, options, ...propagation] = (before ?? '').split(' ');
  const [type, source, superOptions] = (after ?? '').split(' ');
  if (device === undefined || root === undefined || mountPoint === undefined || options === undefined) {
    return undefined;
  }
  if (type === undefined || superOptions === undefined) return undefined;
  return {
    line,
    id: Number(id),
    parent: Number(parent),
    device,
    root: unescapeField(root),
    mountPoint: unescapeField(mountPoint),
    options: options.split(','),
    propagation,
    type,
    source: unescapeField(source ?? ''),
    // Thousands of overlays name dozens of layers each, and only one of them is looked at.
    get superOptions() {
      return splitOptions(unescapeField(superOptions));
    },
  };
}

type Lines = ReadonlyMap<string, MountEntry>;

/** The lines of the table that was read last: most of them are in the next one too, and mean the same. */
let lastLines: Lines = new Map();

/** All mounts of this process's mount namespace, in the order they were made. */
export class MountTable {
  readonly entries: readonly MountEntry[];

  /** @param known lines that were parsed before */
  constructor(text: string, known: Lines = new Map()) {
    this.entries = text
      .split('\n')
      .map((line) => known.get(line) ?? parseMountEntry(line))
      .filter((entry) => entry !== undefined);
  }

  /**
   * What is mounted now. It is read anew each time: poll(2) on the file tells of mounts that come and go, but not that
   * a folder above a mount point got another name, which changes what lies where.
   */
  static read(pid: number | 'self' = 'self'): MountTable {
    // latin1 keeps every byte; names are decoded as UTF-8 field by field.
    const text = readFileSync(`/proc/${pid}/mountinfo`, 'latin1');
    if (pid !== 'self') return new MountTable(text);
    const table = new MountTable(text, lastLines);
    lastLines = new Map(table.entries.map((entry) => [entry.line, entry]));
    return table;
  }

  /** The mount that a path itself is the mount point of: the last one made there. */
  at(path: string): MountEntry | undefined {
    return this.entries.findLast((entry) => entry.mountPoint === path);
  }

  /** The mount that a resolved path lies in. */
  containing(path: string): MountEntry | undefined {
    let best: MountEntry | undefined;
    for (const entry of this.entries) {
      const covers =
        entry.mountPoint === '/' || path === entry.mountPoint || path.startsWith(`${entry.mountPoint}/`);
      if (covers && entry.mountPoint.length >= (best?.mountPoint.length ?? 0)) best = entry;
    }
    return best;
  }

  /** The mounts below a path, itself not included. */
  below(path: string): readonly MountEntry[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    return this.entries.filter((entry) => entry.mountPoint.startsWith(prefix) && entry.mountPoint !== path);
  }
}

/**
 * Puts cofferdam's runtime and proxy into the text of a daemon.json and takes them out again. Everything else in the
 * text stays byte for byte: order, indentation, numbers. Must never write to disk.
 */
import { applyEdits, modify, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { z } from 'zod';
import { type EngineProxies, ownProxies } from './engine-proxies.js';

/** The runtime's name: the one that Docker's Enhanced Container Isolation uses. */
export const runtimeName = 'sysbox-runc';

/** A daemon.json that can't be edited safely. */
export class DaemonJsonProblem extends Error {
  readonly code = 'COFFERDAM_DAEMON_JSON';

  constructor(message: string) {
    super(`daemon.json: ${message}`);
    this.name = 'DaemonJsonProblem';
  }
}

/** What stood in the file under the names that setup writes; kept, so that unsetup can put it back. */
export const previousEntriesSchema = z.object({
  runtime: z.unknown().optional(),
  defaultRuntime: z.string().optional(),
  /** False when the file had no `runtimes` at all. */
  hadRuntimes: z.boolean(),
});
export type PreviousEntries = z.infer<typeof previousEntriesSchema>;

const entriesSchema = z.looseObject({
  runtimes: z.record(z.string(), z.unknown()).optional(),
  'default-runtime': z.string().optional(),
  proxies: z.record(z.string(), z.unknown()).optional(),
});

/**
 * Registers the runtime and makes it the default.
 * @param text content of daemon.json; undefined when there is no such file
 * @returns the new text, the same as before when nothing needs to change
 * @throws DaemonJsonProblem when the file isn't one that dockerd would take
 */
export function mergeRuntime(
  text: string | undefined,
  launcher: string,
): { text: string; previous: PreviousEntries } {
  const before = text === undefined || /^[ \t\r\n]*(\{[ \t\r\n]*\}[ \t\r\n]*)?$/.test(text) ? '{}\n' : text;
  const entries = parseEntries(before);
  const previous: PreviousEntries = {
    hadRuntimes: entries.runtimes !== undefined,
    ...(entries.runtimes && runtimeName in entries.runtimes
      ? { runtime: entries.runtimes[runtimeName] }
      : {}),
    ...(entries['default-runtime'] === undefined ? {} : { defaultRuntime: entries['default-runtime'] }),
  };
  let after = before;
  const current = z.object({ path: z.string() }).strict().safeParse(previous.runtime);
  if (!current.success || current.data.path !== launcher) {
    after = previous.hadRuntimes
      ? set(after, ['runtimes', runtimeName], { path: launcher })
      : set(after, ['runtimes'], { [runtimeName]: { path: launcher } });
  }
  if (previous.defaultRuntime !== runtimeName) after = set(after, ['default-runtime'], runtimeName);
  return { text: after, previous };
}

/** The text with a default runtime in it, for the moment in which an engine is told of it. */
export function withDefaultRuntime(text: string | undefined, name: string): string {
  return set(text === undefined || text.trim() === '' ? '{}\n' : text, ['default-runtime'], name);
}

/** Takes the runtime out again and puts back what {@link mergeRuntime} replaced. */
export function unmergeRuntime(text: string, previous: PreviousEntries): string {
  const entries = parseEntries(text);
  let after = mergeProxies(text, undefined);
  if (entries['default-runtime'] === runtimeName)
    after = set(after, ['default-runtime'], previous.defaultRuntime);
  if (entries.runtimes && runtimeName in entries.runtimes) {
    const alone = Object.keys(entries.runtimes).length === 1;
    const path = alone && !previous.hadRuntimes ? ['runtimes'] : ['runtimes', runtimeName];
    after = set(after, path, previous.runtime);
  }
  return after;
}

/**
 * Names the proxy of dockerd's own connections, or with undefined takes ours out again.
 * @throws DaemonJsonProblem when the file names another proxy: the two can't be chained
 */
export function mergeProxies(text: string, proxies: EngineProxies | undefined): string {
  const { proxies: current } = parseEntries(text);
  const own = current !== undefined && ownProxies(current);
  if (proxies === undefined) return own ? set(text, ['proxies'], undefined) : text;
  if (current !== undefined && !own && Object.keys(current).length > 0) {
    throw new DaemonJsonProblem(
      'it names proxies of its own, and registryAccess.egress can be no second one: remove them, or set registryAccess.egress to false',
    );
  }
  const same = JSON.stringify(current) === JSON.stringify(proxies);
  return same ? text : set(text, ['proxies'], proxies);
}

function parseEntries(text: string): z.infer<typeof entriesSchema> {
  const errors: ParseError[] = [];
  const tree = parseTree(withoutMark(text), errors, { disallowComments: true, allowTrailingComma: false });
  const [first] = errors;
  if (first)
    throw new DaemonJsonProblem(`${printParseErrorCode(first.error)} ${position(text, first.offset)}`);
  if (tree?.type !== 'object') throw new DaemonJsonProblem('it is not a JSON object');
  const keys = (tree.children ?? []).map((property) => String(property.children?.[0]?.value));
  // dockerd would take the last one of them, and an edit would change the first.
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw new DaemonJsonProblem(`the key ${JSON.stringify(twice)} is in it twice`);
  const parsed = entriesSchema.safeParse(JSON.parse(withoutMark(text)));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new DaemonJsonProblem(`${issue?.path.join('.')}: ${issue?.message}`);
  }
  return parsed.data;
}

/** Sets or (with undefined) removes one value; the rest of the text is not even formatted anew. */
function set(text: string, path: string[], value: unknown): string {
  const mark = text.startsWith(byteOrderMark) ? byteOrderMark : '';
  const bare = withoutMark(text);
  const edits = modify(bare, path, value, {});
  if (value === undefined) return mark + applyEdits(bare, edits);
  return (
    mark +
    applyEdits(
      bare,
      edits.map((edit) => ({ ...edit, content: pretty(edit.content, bare, path.length) })),
    )
  );
}

/** Gives an edit's compact text the file's own indentation and line ends; a file of one line stays one. */
function pretty(content: string, text: string, depth: number): string {
  if (!text.trim().includes('\n') && text.trim() !== '{}') return content;
  const end = text.includes('\r\n') ? '\r\n' : '\n';
  const indentation = /\n([ \t]+)"/.exec(text)?.[1] ?? '  ';
  const [, comma = '', member] = /^(,?)(".*)$/.exec(content) ?? [];
  const lines = (value: string, levels: number): string =>
    value.split('\n').join(`${end}${indentation.repeat(levels)}`);
  // A value that takes another one's place stands behind its key already.
  if (member === undefined || !member.includes('":')) {
    return lines(JSON.stringify(JSON.parse(content), null, indentation), depth);
  }
  const inner = JSON.stringify(JSON.parse(`{${member}}`), null, indentation)
    .split('\n')
    .slice(1, -1);
  const members = inner.join('\n').slice(indentation.length);
  const shifted = lines(members, depth - 1).replace(/^/, `${end}${indentation.repeat(depth)}`);
  return comma ? `${comma}${shifted}` : `${shifted}${end}${indentation.repeat(depth - 1)}`;
}

/** dockerd takes a file that begins with a byte order mark; the editing of it would not. */
const byteOrderMark = '\uFEFF';

function withoutMark(text: string): string {
  return text.startsWith(byteOrderMark) ? text.slice(1) : text;
}

function position(text: string, offset: number): string {
  const lines = text.slice(0, offset).split('\n');
  return `at line ${lines.length}, column ${(lines.at(-1) ?? '').length + 1}`;
}

/** The lines that differ between two texts, as `diff -u` would mark them, with one line around each change. */
export function lineChanges(before: string, after: string): string[] {
  const old = before === '' ? [] : before.replace(/\n$/, '').split('\n');
  const now = after === '' ? [] : after.replace(/\n$/, '').split('\n');
  const lengths = commonLengths(old, now);
  const lines: { mark: ' ' | '-' | '+'; text: string }[] = [];
  let left = 0;
  let right = 0;
  while (left < old.length || right < now.length) {
    const [removed, added] = [old[left], now[right]];
    if (removed !== undefined && removed === added) {
      lines.push({ mark: ' ', text: removed });
      left += 1;
      right += 1;
    } else if (
      removed !== undefined &&
      (lengths[left + 1]?.[right] ?? 0) >= (lengths[left]?.[right + 1] ?? -1)
    ) {
      lines.push({ mark: '-', text: removed });
      left += 1;
    } else {
      lines.push({ mark: '+', text: added ?? '' });
      right += 1;
    }
  }
  const changed = (index: number): boolean => (lines[index]?.mark ?? ' ') !== ' ';
  return lines
    .filter((_, index) => changed(index - 1) || changed(index) || changed(index + 1))
    .map(({ mark, text }) => `${mark} ${text}`);
}

/** `result[i][j]`: length of the longest common subsequence of `old` from i on and `now` from j on. */
function commonLengths(old: readonly string[], now: readonly string[]): number[][] {
  const lengths = Array.from({ length: old.length + 1 }, () => new Array<number>(now.length + 1).fill(0));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      const row = lengths[i];
      if (!row) continue;
      row[j] =
        old[i] === now[j]
          ? (lengths[i + 1]?.[j + 1] ?? 0) + 1
          : Math.max(lengths[i + 1]?.[j] ?? 0, row[j + 1] ?? 0);
    }
  }
  return lengths;
}

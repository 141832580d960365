/**
 * `cofferdam audit`: shows the audit log to people, follows it, and checks its chain.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { auditFiles, currentName } from '../audit/files.js';
import type { AuditLine } from '../audit/record.js';
import { auditFolder } from '../audit/sink.js';
import { readAuditLine, readLines, verifyAudit } from '../audit/verify.js';
import { type Options, parseOptions, UsageError } from './options.js';
import { colour, complain, print, printJson, shortId, show } from './output.js';

const lookEveryMilliseconds = 200;

type Requests = Extract<AuditLine, { event: 'request' }>;

function who(line: AuditLine): string {
  if (line.caller === undefined) return '-';
  const container = line.caller.container === undefined ? '' : `@${shortId(line.caller.container)}`;
  const command = line.caller.command === undefined ? '' : ` ${line.caller.command}`;
  return `uid ${line.caller.uid}${container}${command}`;
}

function verdictText(line: Requests): string {
  if (line.verdict === 'denied' || line.verdict === 'malformed') return colour('red', line.verdict);
  return line.verdict === 'failed' ? colour('yellow', line.verdict) : line.verdict;
}

function requestText(line: Requests): string {
  const extra = [
    ...line.rules,
    ...(line.rewritten.length === 0 ? [] : [`set ${line.rewritten.join(' ')}`]),
    ...(line.error === undefined ? [] : [line.error]),
    ...(line.reason === undefined ? [] : [line.reason]),
    ...line.warnings.map((warning) => colour('yellow', `warning: ${warning}`)),
  ];
  const target = line.objects.map(shortId).join(',') || (line.path ?? '');
  return [
    verdictText(line).padEnd(9),
    String(line.status),
    line.route ?? line.method,
    target,
    `${line.milliseconds.toFixed(1)}ms`,
    extra.join('; '),
  ]
    .join('  ')
    .trimEnd();
}

/** A record in one line for people. */
export function auditText(line: AuditLine): string {
  const what =
    line.event === 'request' ? requestText(line) : [colour('bold', line.event), ...line.details].join('  ');
  return `${line.time}  ${who(line).padEnd(16)}  ${what}`;
}

function isRefusal(line: AuditLine): boolean {
  return line.event === 'request'
    ? line.verdict === 'denied' || line.verdict === 'malformed'
    : line.event.endsWith('.refused');
}

function isWarning(line: AuditLine): boolean {
  return line.event === 'request' && line.warnings.length > 0;
}

/** A line of the log and what it says. */
interface Entry {
  readonly line: string;
  readonly record: AuditLine;
}

/** Reads a line; `undefined` when it isn't wanted. */
function selector(options: Options): (line: string) => Entry | undefined {
  const wanted = [
    ...(options.switches.has('denied') ? [isRefusal] : []),
    ...(options.switches.has('warned') ? [isWarning] : []),
  ];
  return (line) => {
    const record = readAuditLine(line);
    if (record === undefined || (wanted.length > 0 && !wanted.some((is) => is(record)))) return undefined;
    return { line, record };
  };
}

type Select = ReturnType<typeof selector>;

async function lastEntries(folder: string, count: number, select: Select): Promise<Entry[]> {
  const kept: Entry[] = [];
  for (const file of auditFiles(folder)) {
    for await (const line of readLines(file)) {
      const entry = select(line);
      if (entry !== undefined) kept.push(entry);
      if (kept.length > count * 2) kept.splice(0, kept.length - count);
    }
  }
  return kept.slice(-count);
}

/** Reads what was appended to a file since the last time, in whole lines. */
class Tail {
  private offset = 0;
  private rest = '';

  constructor(readonly handle: FileHandle) {}

  async *lines(): AsyncGenerator<string> {
    const buffer = Buffer.alloc(65536);
    for (;;) {
      const { bytesRead } = await this.handle.read(buffer, 0, buffer.length, this.offset);
      if (bytesRead === 0) return;
      this.offset += bytesRead;
      // Cut into lines as bytes, because a chunk can end inside a character.
      const lines = (this.rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
      this.rest = lines.pop() ?? '';
      for (const line of lines) yield Buffer.from(line, 'latin1').toString();
    }
  }

  /** True when the log goes on in another file. */
  async replaced(path: string): Promise<boolean> {
    const [here, there] = await Promise.all([this.handle.stat(), stat(path).catch(() => undefined)]);
    return there !== undefined && there.ino !== here.ino;
  }
}

/** Shows entries after a sequence number as they come, over rotations, until the process is ended. */
async function follow(
  folder: string,
  select: Select,
  after: number,
  write: (entry: Entry) => void,
): Promise<never> {
  const path = join(folder, currentName);
  let last = after;
  let tail: Tail | undefined;
  const readOn = async (from: Tail) => {
    for await (const line of from.lines()) {
      const entry = select(line);
      if (entry === undefined || entry.record.sequence <= last) continue;
      last = entry.record.sequence;
      write(entry);
    }
  };
  for (;;) {
    if (tail !== undefined) {
      const replaced = await tail.replaced(path);
      await readOn(tail);
      if (replaced) {
        await tail.handle.close();
        tail = undefined;
      }
    }
    if (tail === undefined) {
      const handle = await open(path, 'r').catch(() => undefined);
      if (handle !== undefined) tail = new Tail(handle);
    }
    await new Promise((resolve) => setTimeout(resolve, lookEveryMilliseconds));
  }
}

async function verify(folder: string, json: boolean): Promise<number> {
  const found = await verifyAudit(folder);
  if (json) printJson(found);
  else if (found.records === 0 && found.faults.length === 0) complain(`there is no log in ${folder}`);
  else {
    for (const fault of found.faults)
      print(`${colour('red', 'fault')}  ${fault.file}:${fault.line}: the record ${fault.reason}`);
    const range = found.first === undefined ? '' : `, ${found.first} to ${found.last}`;
    const verdict = found.faults.length === 0 ? colour('green', 'whole') : colour('red', 'broken');
    print(
      `${verdict}: ${found.records} records${range}, in ${found.files} files; head ${found.head ?? 'none'}`,
    );
  }
  return found.records > 0 && found.faults.length === 0 ? 0 : 1;
}

/** As many lines as the terminal has, one left for the cursor. */
function screenLines(): number {
  return Math.max(1, (process.stdout.rows ?? 25) - 1);
}

function lineCount(text: string | undefined): number {
  const count = Number(text ?? 50);
  if (!Number.isInteger(count) || count < 1)
    throw new UsageError('--lines needs a whole number from 1', 'audit');
  return count;
}

/** Shows, follows or verifies the audit log; with --verify 1 when the chain is broken, or there is none. */
export async function audit(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('audit', argv, environment);
  const folder = auditFolder(options.state);
  if (options.switches.has('verify')) return verify(folder, options.json);
  const select = selector(options);
  const write = ({ line, record }: Entry) => print(options.json ? line : auditText(record));
  if (options.switches.has('watch')) {
    const count = lineCount(options.values.get('lines') ?? String(screenLines()));
    return show(true, async () => {
      const entries = await lastEntries(folder, count, select);
      const lines = entries.map(({ line, record }) => (options.json ? line : auditText(record)));
      return { text: lines.join('\n'), exitCode: 0 };
    });
  }
  const last = await lastEntries(folder, lineCount(options.values.get('lines')), select);
  for (const entry of last) write(entry);
  if (options.switches.has('follow')) return follow(folder, select, last.at(-1)?.record.sequence ?? 0, write);
  return 0;
}

/**
 * Writes the audit log: JSON lines, hash-chained, in `<state>/audit/audit.log`, rotated by size.
 * A record costs its caller next to nothing: lines are made of many records in one go, which takes a third of the time
 * that it takes between other work, and the disk is never waited for. Lines are handed to the kernel at the latest a
 * quarter of a second later, and when the log is closed.
 * What can't be written (a full disk) is counted and logged, and stops no request.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  write,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { chainStart, checkLine } from './chain.js';
import { auditFiles, currentName, rotatedName } from './files.js';
import { Journal } from './journal.js';
import { AuditLines, type LogPosition } from './lines.js';
import { type AuditRecord, auditLineSchema } from './record.js';

const flushAfterMilliseconds = 250;
/** Lines are made of so many records at once, which takes a tenth of a millisecond. */
const linesAtRecords = 32;
/** Bytes of lines that may wait. */
const flushAtBytes = 128 * 1024;
/** Longest line that is looked for when the log is continued. */
const longestLine = 1024 * 1024;

export interface AuditOptions {
  /** Size at which a new file is begun, and how many full ones are kept. */
  readonly maximumFileBytes?: number;
  readonly keepFiles?: number;
  /** Whether records go to the systemd journal as well. */
  readonly journal?: boolean;
  /** Told when lines could not be written. */
  readonly onError?: (error: Error) => void;
}

/** An open audit log. */
export interface Audit {
  /** Appends a record. Never throws and never waits. */
  record(record: AuditRecord): void;
  /** Hands everything to the kernel and closes the file. */
  close(): Promise<void>;
}

/** Where the log goes on: after the last whole line. A line torn by a crash is cut off. */
function continueFrom(descriptor: number): LogPosition & { readonly size: number } {
  const { size } = fstatSync(descriptor);
  const length = Math.min(size, longestLine);
  const buffer = Buffer.alloc(length);
  readSync(descriptor, buffer, 0, length, size - length);
  const end = buffer.lastIndexOf(0x0a) + 1;
  if (end < length) ftruncateSync(descriptor, size - length + end);
  const whole = size - length + end;
  const last = buffer.subarray(0, end).toString().trimEnd().split('\n').at(-1) ?? '';
  const chain = checkLine(undefined, last)?.chain;
  if (chain === undefined) return { sequence: 0, chain: chainStart, size: whole };
  const line = auditLineSchema.safeParse(JSON.parse(last));
  return { sequence: line.success ? line.data.sequence : 0, chain, size: whole };
}

/** A record whose line is not made yet, and when it was made, in milliseconds since the epoch. */
interface Waiting {
  readonly at: number;
  readonly record: AuditRecord;
}

/** Lines on their way to the file, and the sequence number of the last one. */
interface Batch {
  readonly bytes: Buffer;
  readonly sequence: number;
}

class AuditLog implements Audit {
  private descriptor: number;
  private size: number;
  private waiting: Waiting[] = [];
  /** Lines that are made and not written yet. */
  private readonly lines: AuditLines;
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> | undefined;
  private readonly journal: Journal | undefined;
  private readonly onExit = () => this.flushNow();

  constructor(
    private readonly folder: string,
    private readonly options: Required<AuditOptions>,
  ) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.journal = options.journal ? new Journal(options.onError) : undefined;
    this.descriptor = this.open();
    const last = continueFrom(this.descriptor);
    this.size = last.size;
    this.lines = new AuditLines(last.sequence === 0 ? (this.rotatedEnd() ?? last) : last);
    process.on('exit', this.onExit);
  }

  record(record: AuditRecord): void {
    this.waiting.push({ at: Date.now(), record });
    this.timer ??= setTimeout(() => void this.flush(), flushAfterMilliseconds).unref();
    // The journal has its own clock for entries.
    if (this.journal === undefined && this.waiting.length < linesAtRecords) return;
    this.makeLines();
    if (this.lines.length >= flushAtBytes) void this.flush();
  }

  private makeLines(): void {
    for (const { at, record } of this.waiting) {
      this.lines.add(at, record);
      this.journal?.write({ line: this.lines.lastLine(), record });
    }
    this.waiting = [];
  }

  async close(): Promise<void> {
    process.off('exit', this.onExit);
    await this.flush();
    await this.writing;
    closeSync(this.descriptor);
    this.journal?.close();
  }

  /** After a rotation and before the first new line, the chain goes on from the newest full file. */
  private rotatedEnd(): LogPosition | undefined {
    const newest = auditFiles(this.folder).at(-2);
    if (newest === undefined) return undefined;
    const descriptor = openSync(newest, 'r+');
    const last = continueFrom(descriptor);
    closeSync(descriptor);
    return last;
  }

  private open(): number {
    // `a+`: appended whatever the position, and readable, so that the chain can be continued.
    return openSync(join(this.folder, currentName), 'a+', 0o600);
  }

  private takePending(): Batch | undefined {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.makeLines();
    return this.lines.length === 0 ? undefined : { bytes: this.lines.take(), sequence: this.lines.sequence };
  }

  /** Writes what is pending, after what is being written already. */
  private async flush(): Promise<void> {
    while (this.writing !== undefined) await this.writing;
    const batch = this.takePending();
    if (batch === undefined) return;
    this.writing = this.writeAll(batch);
    await this.writing;
    this.writing = undefined;
  }

  private async writeAll({ bytes, sequence }: Batch): Promise<void> {
    try {
      for (let offset = 0; offset < bytes.length; ) offset += await this.writeSome(bytes, offset);
      this.size += bytes.length;
      if (this.size >= this.options.maximumFileBytes) this.rotate(sequence);
    } catch (error) {
      this.options.onError(error instanceof Error ? error : new Error(String(error)));
    }
  }

  private writeSome(bytes: Buffer, offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.descriptor, bytes, offset, bytes.length - offset, null, (error, count) =>
        error === null ? resolve(count) : reject(error),
      );
    });
  }

  /** At the end of the process nothing can be awaited any more; a write under way keeps its place. */
  private flushNow(): void {
    if (this.writing !== undefined) return;
    const batch = this.takePending();
    if (batch !== undefined) writeSync(this.descriptor, batch.bytes);
  }

  private rotate(lastSequence: number): void {
    closeSync(this.descriptor);
    renameSync(join(this.folder, currentName), join(this.folder, rotatedName(lastSequence)));
    this.descriptor = this.open();
    this.size = 0;
    const full = auditFiles(this.folder).slice(0, -1);
    for (const path of full.slice(0, Math.max(0, full.length - this.options.keepFiles))) rmSync(path);
  }
}

/** The folder of the audit log. */
export function auditFolder(stateDir: string): string {
  return join(stateDir, 'audit');
}

/** Opens the audit log of a state folder and goes on where it ended. Throws the file system's error. */
export function openAudit(stateDir: string, options: AuditOptions = {}): Audit {
  return new AuditLog(auditFolder(stateDir), {
    maximumFileBytes: options.maximumFileBytes ?? 64 * 1024 * 1024,
    keepFiles: options.keepFiles ?? 16,
    journal: options.journal ?? false,
    onError: options.onError ?? ((error) => process.emitWarning(`audit log: ${error.message}`)),
  });
}

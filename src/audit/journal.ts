/**
 * The audit log in the systemd journal, beside the file: `journalctl -t cofferdam-audit`. The message is the very line
 * of the file, chain included. The file is what counts: an entry that the journal doesn't take is told of, never
 * waited for.
 */
import { DatagramSender } from '../system/datagram.js';
import type { AuditRecord } from './record.js';

const journalSocket = '/run/systemd/journal/socket';
/** syslog(3): warning and info. */
const priorities = { refused: 4, other: 6 } as const;

/** A line on its way to the journal, with what entries can be searched by. */
export interface JournalEntry {
  readonly line: string;
  readonly record: AuditRecord;
}

/** An entry in the journal's own protocol; no value has a newline, because JSON has none in one line. */
export function journalText({ line, record }: JournalEntry): string {
  const request = record.event === 'request' ? record : undefined;
  const refused = request?.verdict === 'denied' || record.event.endsWith('.refused');
  const fields: readonly (readonly [string, string | undefined])[] = [
    ['MESSAGE', line],
    ['SYSLOG_IDENTIFIER', 'cofferdam-audit'],
    ['PRIORITY', String(refused ? priorities.refused : priorities.other)],
    ['AUDIT_EVENT', record.event],
    ['AUDIT_VERDICT', request?.verdict],
    ['AUDIT_ROUTE', request?.route],
    ['AUDIT_CALLER_UID', record.caller === undefined ? undefined : String(record.caller.uid)],
    ['AUDIT_CALLER_CONTAINER', record.caller?.container],
  ];
  return fields.map(([name, value]) => (value === undefined ? '' : `${name}=${value}\n`)).join('');
}

export class Journal {
  readonly #sender: DatagramSender;
  #told = false;

  /** @param onError told once when the journal takes nothing, and again after it took something meanwhile */
  constructor(
    private readonly onError: (error: Error) => void,
    socket = journalSocket,
  ) {
    this.#sender = new DatagramSender(socket);
  }

  write(entry: JournalEntry): void {
    const taken = this.#sender.send(journalText(entry));
    if (!taken && !this.#told) this.onError(new Error('the journal does not take audit records'));
    this.#told = !taken;
  }

  close(): void {
    this.#sender.close();
  }
}

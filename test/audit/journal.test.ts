import { expect, it } from 'vitest';
import { Journal, journalText } from '../../src/audit/journal.js';
import type { AuditRecord } from '../../src/audit/record.js';

const refused: AuditRecord = {
  event: 'request',
  caller: { uid: 1000, gid: 1000, pid: 7, groups: [], container: 'c'.repeat(64) },
  method: 'POST',
  route: 'container.create',
  verdict: 'denied',
  generation: 1,
  status: 403,
  milliseconds: 1,
};

it('makes a record an entry that can be searched by who, what and how it ended', () => {
  expect(journalText({ line: '{"a":"b\\n"}', record: refused }).split('\n')).toEqual([
    'MESSAGE={"a":"b\\n"}',
    'SYSLOG_IDENTIFIER=cofferdam-audit',
    'PRIORITY=4',
    'AUDIT_EVENT=request',
    'AUDIT_VERDICT=denied',
    'AUDIT_ROUTE=container.create',
    'AUDIT_CALLER_UID=1000',
    `AUDIT_CALLER_CONTAINER=${'c'.repeat(64)}`,
    '',
  ]);
  const event: AuditRecord = { event: 'daemon.started', generation: 1 };
  expect(journalText({ line: '{}', record: event })).toBe(
    'MESSAGE={}\nSYSLOG_IDENTIFIER=cofferdam-audit\nPRIORITY=6\nAUDIT_EVENT=daemon.started\n',
  );
});

it('tells once that there is no journal, and stops nothing', () => {
  const errors: Error[] = [];
  const journal = new Journal((error) => errors.push(error), '/var/tmp/no-such-journal');
  for (let count = 0; count < 3; count += 1) journal.write({ line: '{}', record: refused });
  expect(errors).toHaveLength(1);
  journal.close();
});

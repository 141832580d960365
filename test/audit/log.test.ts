import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/record.js';
import { auditFolder, openAudit } from '../../src/audit/sink.js';
import { readAuditLine, verifyAudit } from '../../src/audit/verify.js';

let state: string;
let folder: string;
let file: string;
beforeEach(() => {
  state = mkdtempSync('/var/tmp/cofferdam-audit-');
  folder = auditFolder(state);
  file = join(folder, 'audit.log');
});
afterEach(() => rmSync(state, { recursive: true }));

function request(status = 200): AuditRecord {
  return {
    event: 'request',
    caller: { uid: 1000, gid: 1000, pid: 42, groups: [999] },
    method: 'POST',
    route: 'container.create',
    path: '/v1.47/containers/create',
    objects: ['f'.repeat(64)],
    verdict: status === 200 ? 'rewritten' : 'denied',
    rules: ['runtime'],
    rewritten: ['/HostConfig/Runtime'],
    generation: 1,
    status,
    milliseconds: 1.25,
  };
}

async function write(count: number, options = {}) {
  const audit = openAudit(state, options);
  for (let index = 0; index < count; index += 1) audit.record(request());
  await audit.close();
}

function lines(): string[] {
  return readFileSync(file, 'utf8').trimEnd().split('\n');
}

describe('a record', () => {
  it('is one JSON line with time, sequence number and chain', async () => {
    await write(2);
    expect(lines().map((line) => readAuditLine(line)?.sequence)).toEqual([1, 2]);
    expect(JSON.parse(lines()[0] ?? '')).toEqual({
      ...request(),
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      sequence: 1,
      chain: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('can hold any text without breaking its line', async () => {
    const audit = openAudit(state);
    audit.record({ ...request(403), reason: 'a "quoted"\nline\u2028 ","chain":"x"}' } as AuditRecord);
    await audit.close();
    expect(lines()).toHaveLength(1);
    expect((await verifyAudit(folder)).faults).toEqual([]);
  });

  it('can be read by root alone', async () => {
    await write(1);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });
});

describe('the chain', () => {
  it('holds over restarts', async () => {
    await write(3);
    await write(3);
    expect(await verifyAudit(folder)).toMatchObject({ records: 6, first: 1, last: 6, faults: [] });
  });

  it('holds over rotations, restarts between them, and the removal of the oldest file', async () => {
    for (let round = 0; round < 6; round += 1) await write(4, { maximumFileBytes: 1500, keepFiles: 3 });
    const files = readdirSync(folder);
    expect(files.filter((name) => name !== 'audit.log')).toHaveLength(3);
    const found = await verifyAudit(folder);
    expect(found.faults).toEqual([]);
    expect(found.last).toBe(24);
    expect(found.first).toBeGreaterThan(1);
  });

  it('goes on after a line that a crash tore', async () => {
    await write(2);
    appendFileSync(file, '{"time":"2026-01-01T00:00:00.000Z","sequ');
    await write(1);
    expect(await verifyAudit(folder)).toMatchObject({ records: 3, faults: [] });
  });

  it.each([
    [
      'changed',
      (all: string[]) => all.map((line, index) => (index === 1 ? line.replace('1000', '1001') : line)),
      2,
    ],
    ['removed', (all: string[]) => all.filter((_, index) => index !== 1), 2],
    ['inserted', (all: string[]) => [...all.slice(0, 2), all[1] ?? '', ...all.slice(2)], 3],
    [
      'replaced by something else',
      (all: string[]) => all.map((line, index) => (index === 1 ? '{}' : line)),
      2,
    ],
    ['the first, removed', (all: string[]) => all.slice(1), undefined],
  ])('shows a record that was %s', async (_, change, faultyLine) => {
    await write(4);
    writeFileSync(file, `${change(lines()).join('\n')}\n`);
    const { faults, first } = await verifyAudit(folder);
    if (faultyLine === undefined) expect(first).toBe(2);
    else expect(faults[0]).toMatchObject({ file: 'audit.log', line: faultyLine });
  });
});

describe('losing nothing', () => {
  it('writes many records in their order', async () => {
    await write(20_000, { maximumFileBytes: 1024 * 1024, keepFiles: 100 });
    expect(await verifyAudit(folder)).toMatchObject({ records: 20_000, first: 1, last: 20_000, faults: [] });
  });

  it('writes a moment later, without a close', async () => {
    const audit = openAudit(state);
    audit.record(request());
    while (statSync(file).size === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(lines()).toHaveLength(1);
    await audit.close();
  });

  it('tells of what can not be written, and goes on', async () => {
    const errors: Error[] = [];
    const audit = openAudit(state, { onError: (error) => errors.push(error) });
    audit.record(request());
    // Every write to a descriptor whose file size is limited fails, as on a full disk.
    execFileSync('prlimit', [`--pid=${process.pid}`, '--fsize=0:unlimited']);
    process.on('SIGXFSZ', () => {});
    while (errors.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    execFileSync('prlimit', [`--pid=${process.pid}`, '--fsize=unlimited:unlimited']);
    expect(errors[0]?.message).toMatch(/EFBIG/);
    audit.record(request());
    await audit.close();
    expect(await verifyAudit(folder)).toMatchObject({ records: 1, first: 2 });
  });
});

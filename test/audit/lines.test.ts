import { describe, expect, it } from 'vitest';
import { chainStart, checkLine } from '../../src/audit/chain.js';
import { AuditLines } from '../../src/audit/lines.js';
import type { AuditRecord } from '../../src/audit/record.js';

function record(detail: string): AuditRecord {
  return { event: 'daemon.started', generation: 1, details: [detail] };
}

/** A line without its newline, and what it says. */
function readLines(
  bytes: Buffer,
): { readonly line: string; readonly sequence: unknown; readonly time: unknown }[] {
  const text = bytes.toString();
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => ({ line, ...JSON.parse(line) }));
}

describe('lines of the audit log', () => {
  it('are chained, numbered and dated, whatever their length', () => {
    const lines = new AuditLines({ sequence: 0, chain: chainStart });
    const lengths = [1, 5_000, 3, 100_000, 0, 70];
    for (const [at, length] of lengths.entries()) lines.add(at * 789, record('é'.repeat(length)));
    let chain = chainStart;
    for (const [at, { line, sequence, time }] of readLines(lines.take()).entries()) {
      const found = checkLine(chain, line);
      expect(found?.follows).toBe(true);
      chain = found?.chain ?? '';
      expect([sequence, time]).toEqual([at + 1, new Date(at * 789).toISOString()]);
      expect(line).toContain(`["${'é'.repeat(lengths[at] ?? 0)}"]`);
    }
  });

  it.each([9, 99, 2 ** 30 - 2, 2 ** 30, 2 ** 31, 2 ** 40])('go on behind number %i', (sequence) => {
    const lines = new AuditLines({ sequence, chain: chainStart });
    for (let count = 0; count < 3; count += 1) lines.add(0, record(''));
    expect(readLines(lines.take()).map((line) => line.sequence)).toEqual(
      [1, 2, 3].map((by) => sequence + by),
    );
    expect(lines.sequence).toBe(sequence + 3);
  });

  it('stay as they were taken while others are made', () => {
    const lines = new AuditLines({ sequence: 0, chain: chainStart });
    lines.add(0, record('first'));
    const first = lines.take();
    const before = first.toString();
    for (let count = 0; count < 1000; count += 1) lines.add(0, record('second'));
    expect(first.toString()).toBe(before);
    expect(lines.lastLine()).toBe(readLines(lines.take()).at(-1)?.line);
    expect(lines.length).toBe(0);
  });

  it('give back the memory that a disk which hangs has cost', () => {
    const lines = new AuditLines({ sequence: 0, chain: chainStart });
    const capacity = (): number => {
      lines.add(0, record(''));
      return lines.take().buffer.byteLength;
    };
    lines.add(0, record('x'.repeat(4 << 20)));
    expect(lines.take().length).toBeGreaterThan(4 << 20);
    expect(Math.max(capacity(), capacity(), capacity())).toBeLessThan(1 << 20);
  });
});

/** docs/compatibility.md lists every row of the transparency table, and no other. `UPDATE_DOCS=1` writes it anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { subjects } from './support/verb-table.js';

const page = new URL('../../docs/compatibility.md', import.meta.url);
const [begin, end] = ['<!-- rows: begin -->\n', '<!-- rows: end -->\n'];

function table(): string {
  const lines = subjects.map(({ subject, rows }) => {
    const names = rows.map(({ name, since }) => (since === undefined ? name : `${name} (from ${since})`));
    return `| ${subject} | ${names.join(' · ')} |\n`;
  });
  return `| subject | rows |\n|---|---|\n${lines.join('')}`;
}

test('the page lists every row that is compared', () => {
  const text = readFileSync(page, 'utf8');
  const [before = '', rest = ''] = text.split(begin);
  const [rows = '', after = ''] = rest.split(end);
  if (process.env['UPDATE_DOCS'] === '1') {
    writeFileSync(page, `${before}${begin}${table()}${end}${after}`);
  } else {
    expect(rows).toBe(table());
  }
});

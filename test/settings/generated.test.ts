import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { auditJsonSchema } from '../../src/audit/json-schema.js';
import { settingsJsonSchema } from '../../src/settings/json-schema.js';
import { settingsReference } from '../../src/settings/reference.js';

function committed(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

it('config/admin-settings.schema.json is the schema (npm run generate)', () => {
  expect(JSON.parse(committed('config/admin-settings.schema.json'))).toEqual(settingsJsonSchema());
});

it('config/audit-record.schema.json is the schema of audit lines (npm run generate)', () => {
  expect(JSON.parse(committed('config/audit-record.schema.json'))).toEqual(auditJsonSchema());
});

it('docs/settings.md has every key (npm run generate)', () => {
  expect(committed('docs/settings.md')).toContain(settingsReference());
});

it('describes every key', () => {
  const rows = settingsReference()
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  expect(rows.length).toBeGreaterThan(20);
  expect(rows.filter((row) => row.endsWith('|  |'))).toEqual([]);
});

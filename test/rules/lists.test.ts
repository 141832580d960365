/**
 * One rule = one file = one row of docs/rules.md = one folder of fixtures = one test file: the lists are equal.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rulesDocument } from '../../src/rules/documentation.js';
import { rules } from '../../src/rules/index.js';

const root = join(import.meta.dirname, '../..');
const ids = rules.map((rule) => rule.id).sort();

describe('the list of rules', () => {
  test('has each id once', () => {
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('equals the rows of docs/rules.md, which is up to date', () => {
    const page = readFileSync(join(root, 'docs/rules.md'), 'utf8');
    expect(page, 'run: npm run docs:rules').toBe(rulesDocument());
    const rows = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]);
    expect(rows.sort()).toEqual(ids);
  });

  test('equals the folders of fixtures', () => {
    const folders = readdirSync(join(root, 'test/rules'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
    expect(folders.sort()).toEqual(ids);
  });

  test.each(ids)('%s has its own source file and test file', (id) => {
    expect(readFileSync(join(root, `src/rules/${id}.ts`), 'utf8')).toMatch(`id: '${id}'`);
    expect(readFileSync(join(root, `test/rules/${id}.test.ts`), 'utf8')).toContain('testRule(');
  });

  test.each(ids)('%s has a fixture that is allowed and one that is refused or rewritten', (id) => {
    const outcomes = readdirSync(join(root, 'test/rules', id)).map((name) => name.split('-')[0]);
    expect(outcomes).toContain('allow');
    expect(outcomes.some((outcome) => outcome === 'deny' || outcome === 'rewrite')).toBe(true);
    expect(outcomes.every((outcome) => ['allow', 'deny', 'rewrite'].includes(outcome ?? ''))).toBe(true);
  });
});

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root, sources } from './sources.js';

const pages = [
  ...sources(['docs', 'config', 'packaging', 'bench'], ['.md']),
  ...['README.md', 'SECURITY.md', 'CHANGELOG.md'].map((path) => ({
    path,
    text: readFileSync(join(root, path), 'utf8'),
  })),
];

describe('the documentation', () => {
  it('has no dead links to files of the project', () => {
    const dead = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target]) => target ?? '')
        .filter((target) => !existsSync(join(root, dirname(path), target)))
        .map((target) => `${path}: ${target}`),
    );
    expect(dead).toEqual([]);
  });

  it('explains every error code in docs/errors.md, and no other', () => {
    const used = new Set(
      sources(['src'], ['.ts']).flatMap(({ text }) =>
        [...text.matchAll(/\b(COFFERDAM_[A-Z_]+)\b(?!\s*=)/g)].map(([, code]) => code ?? ''),
      ),
    );
    const environment = /^COFFERDAM_(LISTEN|ENGINE|SETTINGS|STATE|RUN_DIR|TRACE|LOG_LEVEL)$/;
    const codes = [...used].filter((code) => !environment.test(code)).sort();
    const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
    const documented = [...page.matchAll(/^\| `(COFFERDAM_[A-Z_]+)` \|/gm)]
      .map(([, code]) => code ?? '')
      .sort();
    expect(documented).toEqual(codes);
  });

  it('lists every decision', () => {
    const decisions = sources(['docs/decisions'], ['.md'])
      .map(({ path }) => path.slice('docs/decisions/'.length))
      .filter((name) => name !== 'README.md');
    const list = readFileSync(join(root, 'docs/decisions/README.md'), 'utf8');
    expect(decisions.filter((name) => !list.includes(`(${name})`))).toEqual([]);
    expect(decisions.filter((name) => !/^\d{4}-[a-z0-9-]+\.md$/.test(name))).toEqual([]);
  });
});

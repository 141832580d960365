import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sources } from './sources.js';

/**
 * What each part may import besides itself. Decisions (rules) know Docker's facts and no I/O; the facts know no
 * decisions; the runtime works without the proxy.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  system: [],
  settings: ['system'],
  'uid-allocator': ['system', 'settings'],
  audit: ['system', 'settings', 'uid-allocator'],
  engine: ['system'],
  registry: ['system', 'settings', 'engine'],
  'host-files': ['system', 'settings', 'uid-allocator'],
  rules: ['engine', 'settings', 'registry', 'uid-allocator', 'host-files'],
  runtime: ['system', 'settings', 'uid-allocator', 'host-files'],
  'container-files': ['system', 'uid-allocator', 'engine'],
  proxy: [
    'container-files',
    'system',
    'settings',
    'uid-allocator',
    'audit',
    'engine',
    'registry',
    'host-files',
    'rules',
  ],
  control: ['system', 'settings', 'uid-allocator', 'audit', 'engine'],
  daemon: [
    'policy',
    'container-files',
    'system',
    'settings',
    'uid-allocator',
    'audit',
    'engine',
    'registry',
    'host-files',
    'rules',
    'runtime',
    'proxy',
    'control',
  ],
  policy: ['system', 'settings', 'registry'],
  learning: ['audit', 'settings', 'registry', 'rules'],
  doctor: ['system', 'uid-allocator', 'engine', 'runtime', 'daemon'],
  cli: [
    'doctor',
    'learning',
    'daemon',
    'system',
    'settings',
    'uid-allocator',
    'audit',
    'engine',
    'registry',
    'host-files',
    'rules',
    'runtime',
    'proxy',
    'control',
  ],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

const imports: Import[] = sources(['src'], ['.ts']).flatMap(({ path, text }) =>
  [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, target]) => ({
    from: path,
    to: normalize(join(dirname(path), target ?? '')),
  })),
);

function part(path: string): string {
  return path.split('/')[1] ?? '';
}

describe('the import law', () => {
  it('is looked at where there are imports', () => {
    expect(imports.length).toBeGreaterThan(50);
  });

  it('knows every part', () => {
    const parts = new Set(sources(['src'], ['.ts']).map(({ path }) => part(path)));
    expect([...parts].filter((name) => !(name in allowed))).toEqual([]);
  });

  it.each(Object.keys(allowed))('%s imports only what it may', (name) => {
    const wrong = imports
      .filter(({ from, to }) => part(from) === name && part(to) !== name)
      .filter(({ to }) => !allowed[name]?.includes(part(to)));
    expect(wrong).toEqual([]);
  });

  it('stays inside src, and names files by their compiled names', () => {
    expect(imports.filter(({ to }) => !to.startsWith('src/') || !to.endsWith('.js'))).toEqual([]);
  });

  it('keeps rules pure: no files, no network, no processes, no clock', () => {
    const impure = sources(['src/rules'], ['.ts']).flatMap(({ path, text }) =>
      [
        ...text.matchAll(
          /'(node:(?!path|net')[a-z/_]+|undici|koffi|pino)'|Date\.now|new Date\(\)|Math\.random/g,
        ),
      ].map(([word]) => `${path}: ${word}`),
    );
    expect(impure).toEqual([]);
  });
});

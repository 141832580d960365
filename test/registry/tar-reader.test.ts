import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type TarEntry, TarProblem, TarReader } from '../../src/registry/tar-reader.js';
import { paxHeader, tarArchive, tarEntry, tarHeader } from './tar-archives.js';

interface ReadEntry extends TarEntry {
  readonly content: string;
}

function read(bytes: Uint8Array, chunk = bytes.length): { entries: readonly ReadEntry[]; ended: boolean } {
  const entries: ReadEntry[] = [];
  let current: TarEntry | undefined;
  let content = '';
  const reader = new TarReader({
    entry: (entry) => {
      current = entry;
      content = '';
      if (entry.type !== 'file') entries.push({ ...entry, content });
      return entry.type === 'file';
    },
    content: (piece) => {
      content += Buffer.from(piece).toString('latin1');
    },
    complete: () => {
      if (current !== undefined) entries.push({ ...current, content });
    },
  });
  for (let start = 0; start < bytes.length; start += Math.max(1, chunk)) {
    reader.push(bytes.subarray(start, start + Math.max(1, chunk)));
  }
  return { entries, ended: reader.ended };
}

const long = `${'folder/'.repeat(30)}file`;

describe('what tools write', () => {
  test.each(['v7', 'oldgnu', 'gnu', 'ustar', 'pax'])('GNU tar, format %s', (format) => {
    const folder = mkdtempSync(join(tmpdir(), 'tar-reader-'));
    try {
      const deep = format === 'v7' ? 'folder' : 'folder/'.repeat(format === 'ustar' ? 20 : 30);
      mkdirSync(join(folder, deep), { recursive: true });
      writeFileSync(join(folder, deep, 'file'), 'deep');
      writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\n');
      writeFileSync(join(folder, 'empty'), '');
      symlinkSync('Dockerfile', join(folder, 'link'));
      const bytes = execFileSync('tar', ['-C', folder, `--format=${format}`, '-cf', '-', '.'], {
        maxBuffer: 1 << 24,
      });
      const { entries, ended } = read(bytes);
      expect(ended).toBe(true);
      const byName = new Map(entries.map((entry) => [entry.name, entry]));
      expect(byName.get('./Dockerfile')?.content).toBe('FROM scratch\n');
      expect(byName.get('./link')?.type).toBe('symbolic-link');
      expect(byName.get(`./${join(deep, 'file')}`)?.content).toBe('deep');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a PAX path replaces the name, an empty one does not', () => {
    const archive = tarArchive(
      paxHeader({ path: long }),
      { name: 'short', content: 'x' },
      paxHeader({ path: '' }),
      {
        name: 'kept',
      },
    );
    // An empty file has no content to complete.
    expect(read(archive).entries.map(({ name }) => name)).toEqual([long, 'kept']);
  });

  test('a prefix counts with ustar only', () => {
    expect(read(tarArchive({ name: 'b', prefix: 'a', content: 'x' })).entries[0]?.name).toBe('a/b');
  });

  test('bytes after the end are nothing to the engine', () => {
    const archive = Buffer.concat([
      tarArchive({ name: 'a', content: 'x' }),
      tarEntry({ name: 'late', content: 'y' }),
    ]);
    expect(read(archive).entries.map(({ name }) => name)).toEqual(['a']);
  });
});

test('however the bytes are cut, the same is read', () => {
  const archive = tarArchive(
    { name: 'a', content: 'x'.repeat(700) },
    paxHeader({ path: long }),
    { name: 'b', content: 'y'.repeat(1024) },
    { name: 'c/', type: '5' },
  );
  const whole = read(archive);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1500 }), (chunk) => {
      expect(read(archive, chunk)).toEqual(whole);
    }),
  );
});

describe('what two readers could read differently is refused', () => {
  const good = { name: 'a', content: 'x' };
  test.each([
    ['a sparse file of GNU tar', tarArchive({ ...good, type: 'S' })],
    [
      'a sparse file by PAX records',
      tarArchive(paxHeader({ 'GNU.sparse.major': '1', 'GNU.sparse.name': 'Dockerfile' }), good),
    ],
    ['a global header that renames', tarArchive(paxHeader({ path: 'Dockerfile' }, 'g'), good)],
    [
      'two long names',
      tarArchive(tarEntry({ name: 'L', type: 'L', content: 'one' }), paxHeader({ path: 'two' }), good),
    ],
    ['a link with content', tarArchive({ name: 'l', type: '2', content: 'x', linkName: 'a' })],
    ['a folder by its slash, with content', tarArchive({ name: 'Dockerfile/', content: 'x' })],
    ['a header after one zero block', Buffer.concat([Buffer.alloc(512), tarEntry(good), Buffer.alloc(1024)])],
    ['a wrong checksum', Buffer.concat([tarHeader(good, 1).fill(0x41, 0, 1), Buffer.alloc(1024)])],
    ['a size in hexadecimal', tarArchive({ ...good, size: '0x0000000001' })],
    ['a size with a minus', tarArchive({ ...good, size: '-0000000001\0' })],
    [
      'old GNU fields where ustar has its prefix',
      tarArchive({ ...good, magic: 'ustar  \0', prefix: 'evil' }),
    ],
    ['an unknown magic', tarArchive({ ...good, magic: 'tsura\x0000' })],
    ['a PAX size that is no number', tarArchive(paxHeader({ size: '0x10' }), good)],
    [
      'a PAX record without a length',
      tarArchive(tarEntry({ name: 'p', type: 'x', content: 'path=Dockerfile\n' }), good),
    ],
    ['a name with a zero byte', tarArchive(paxHeader({ path: 'a\0b' }), good)],
    ['an unknown type', tarArchive({ ...good, type: 'Z' })],
  ])('%s', (_title, archive) => {
    expect(() => read(archive)).toThrow(TarProblem);
  });
});

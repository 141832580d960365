import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fileContains } from '../../src/system/file-search.js';

const folder = mkdtempSync(join(tmpdir(), 'cofferdam-search-'));
afterAll(() => rmSync(folder, { recursive: true }));

const word = 'DOCKER_BUILDKIT_RUNC_COMMAND';
const piece = 256 * 1024;

function fileWith(at: number, text: string, size: number): string {
  const path = join(folder, 'program');
  const bytes = Buffer.alloc(size, '-');
  bytes.write(text, at, 'latin1');
  writeFileSync(path, bytes);
  return path;
}

describe('a word in a large file', () => {
  it.each([
    0,
    1000,
    piece - word.length,
    piece - 1,
    piece - 13,
    piece,
    2 * piece - 14,
    3 * piece - word.length,
  ])('is found at %d, also across two pieces', (at) => {
    expect(fileContains(fileWith(at, word, 3 * piece), word)).toBe(true);
  });

  it('is not found where only a part of it is there', () => {
    expect(fileContains(fileWith(piece - 13, word.slice(0, -1), 3 * piece), word)).toBe(false);
    expect(fileContains(fileWith(3 * piece - 13, word.slice(0, 13), 3 * piece), word)).toBe(false);
  });

  it('is not found in an empty file, and a missing file is an error', () => {
    expect(fileContains(fileWith(0, '', 0), word)).toBe(false);
    expect(() => fileContains(join(folder, 'nothing'), word)).toThrow('ENOENT');
  });
});

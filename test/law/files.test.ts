import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sources } from './sources.js';

const longest = 400;
const code = sources(['src', 'test', 'bench', 'scripts', 'bin'], ['.ts', '.mjs', '.js']);

describe('every source file', () => {
  it(`has at most ${longest} lines`, () => {
    const long = code
      .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
      .filter(({ lines }) => lines > longest);
    expect(long).toEqual([]);
  });

  it('has a name that says what is in it', () => {
    const vague = /^(utils?|helpers?|common|misc|shared|stuff|lib|index\.test)\.[a-z]+$/;
    expect(code.map(({ path }) => path).filter((path) => vague.test(basename(path)))).toEqual([]);
  });

  it('begins with what it is', () => {
    const bare = sources(['src'], ['.ts']).filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text));
    expect(bare.map(({ path }) => path)).toEqual([]);
  });

  it('is finished: nothing left to do, nothing left out', () => {
    const unfinished = new RegExp(
      ['TO', 'FIX', 'HA'].map((word, index) => `\\b${word}${['DO', 'ME', 'CK'][index]}\\b`).join('|'),
    );
    expect(code.filter(({ text }) => unfinished.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it('uses no cast to a wider type, and switches no check off', () => {
    const loose = /@ts-ignore|@ts-nocheck|@ts-expect-error|: any\b|\bas any\b|<any>/;
    const found = sources(['src'], ['.ts']).filter(({ text }) => loose.test(text));
    expect(found.map(({ path }) => path)).toEqual([]);
  });
});

describe('every test', () => {
  it('runs: none is skipped, singled out or retried', () => {
    const tests = code.filter(({ path }) => path.endsWith('.test.ts') && !path.startsWith('test/law/'));
    const dodged = /\b(it|test|describe)\.(skip|only|todo|fails)\b|\bretry:\s*\d/;
    expect(tests.length).toBeGreaterThan(10);
    expect(tests.filter(({ text }) => dodged.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

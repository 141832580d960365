// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the variables are the Dockerfile's
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DockerfileUnsure, dockerfileNeeds, triggerNeeds } from '../../src/registry/dockerfile.js';

function needs(source: string, given: Readonly<Record<string, string | null>> = {}): readonly string[] {
  return dockerfileNeeds(source, new Map(Object.entries(given))).map((need) =>
    need.kind === 'address' ? need.url : `${need.kind} ${need.image}`,
  );
}

describe('what a Dockerfile needs', () => {
  test.each<[string, string, readonly string[]]>([
    ['one base', 'FROM alpine\nRUN true', ['base alpine']],
    ['in lower case', 'from alpine', ['base alpine']],
    ['with blanks and tabs', '  \tFROM\t alpine  AS\tx ', ['base alpine']],
    ['stages by name', 'FROM alpine AS Base\nFROM base\nCOPY --from=BASE /a /b', ['base alpine']],
    ['stages by number', 'FROM alpine\nFROM scratch\nCOPY --from=0 /a /b', ['base alpine']],
    ['a stage named later is an image here', 'FROM x\nFROM scratch AS x', ['base x']],
    ['an image to copy from', 'FROM scratch\nCOPY --from=evil.io/x / /', ['copied evil.io/x']],
    ['among other flags', 'FROM scratch\nCOPY --chown=0:0 --from=evil.io/x / /', ['copied evil.io/x']],
    ['continued lines', 'FROM \\\n # a comment\n\n  alpine', ['base alpine']],
    ['a backtick as escape', '# escape=`\nFROM `\nalpine', ['base alpine']],
    ['a comment is none inside', 'RUN x\\\n# FROM no\n && y\nFROM alpine', ['base alpine']],
    [
      'ONBUILD of a stage in this build',
      'FROM scratch\nONBUILD COPY --from=evil.io/x / /',
      ['copied evil.io/x'],
    ],
    ['a byte order mark', '\ufeffFROM alpine', ['base alpine']],
    ['line ends of Windows', 'FROM alpine\r\nRUN true\r\n', ['base alpine']],
    ['an address', 'FROM scratch\nADD http://evil.io/x /', ['http://evil.io/x']],
    ['an address among files', 'FROM scratch\nADD a HTTPS://evil.io/x /', ['HTTPS://evil.io/x']],
    ['an address in a list', 'FROM scratch\nADD ["http://evil.io/x", "/y"]', ['http://evil.io/x']],
    ['a Git address', 'FROM scratch\nADD git@github.com:a/b.git /', ['git@github.com:a/b.git']],
    ['a file with a variable', 'FROM scratch\nADD target/${JAR} app.jar', []],
    ['a shift in arithmetic', 'FROM scratch\nRUN echo $((1<<2))', []],
  ])('%s', (_title, source, expected) => {
    expect(needs(source)).toEqual(expected);
  });

  test.each<[string, Record<string, string | null>, string]>([
    ['ARG BASE=alpine\nFROM $BASE', {}, 'base alpine'],
    ['ARG BASE=alpine\nFROM $BASE', { BASE: 'evil.io/x' }, 'base evil.io/x'],
    ['ARG BASE=alpine\nFROM $BASE', { BASE: null }, 'base alpine'],
    ['ARG A="3.20"\nARG BASE=alpine:${A}\nFROM ${BASE}', {}, 'base alpine:3.20'],
    ['FROM ${BASE:-alpine}', { BASE: 'evil.io/x' }, 'base alpine'],
    ['ARG BASE\nFROM ${BASE:-alpine}', { BASE: 'evil.io/x' }, 'base evil.io/x'],
    ['ARG S=1\nFROM x${S:+-slim}', {}, 'base x-slim'],
  ])('%j with %j', (source, given, expected) => {
    expect(needs(source, given)).toEqual([expected]);
  });
});

describe('what is given up on', () => {
  test.each([
    ['an unknown variable', 'FROM $BASE'],
    ['an ARG after the first FROM', 'FROM scratch\nARG B=x\nFROM $B'],
    ['an ARG that runs something', 'ARG B=`x`\nFROM $B'],
    ['a pattern in a variable', 'ARG B=xy\nFROM ${B#x}'],
    ['a quoted base', 'FROM "alpine"'],
    ['an escaped base', 'FROM al\\pine'],
    ['an unknown instruction', 'FROM alpine\nFORM evil.io/x'],
    ['too many words', 'FROM alpine AS a b'],
    ['a stage name that is none', 'FROM alpine AS 0'],
    ['a quoted flag', 'FROM scratch\nCOPY --fr"om"=evil.io/x / /'],
    ['a letter whose byte is a blank to Go', 'FROM scratch\nCOPY --chown=à--from=evil.io/x / /'],
    ['COPY --from with a variable', 'FROM scratch\nCOPY --from=$X / /'],
    ['an address in a variable', 'FROM scratch\nADD $URL /x'],
    ['an address half in a variable', 'FROM scratch\nADD http://$HOST/x /x'],
    ['an address with escapes', 'FROM scratch\nADD ht\\tp://evil.io/x /x'],
    ['a quoted address', 'FROM scratch\nADD "http://evil.io/x" /x'],
    ['a list that is none', 'FROM scratch\nADD [http://evil.io/x, /x]'],
    ['a here-document', 'FROM scratch\nRUN <<EOF\nFROM scratch AS alpine\nEOF\nFROM alpine'],
    [
      'a here-document with odd blanks',
      'FROM scratch\nRUN x\u0085<<EOF\nFROM scratch AS alpine\nEOF\nFROM alpine',
    ],
    ['a line of unusual white space', 'FROM scratch\nRUN x \\\n\ufeff\nCOPY --from=evil.io/x / /'],
    ['two escapes at the end', 'FROM scratch\nRUN x \\\\\nCOPY --from=evil.io/x / /'],
    ['an escape directive that comes late', '# x\n# escape=`\nFROM scratch'],
    ['an escape directive that is odd', '# escape=x\nFROM scratch'],
    ['a zero byte', 'FROM scratch\0'],
    ['ONBUILD FROM', 'FROM scratch\nONBUILD FROM evil.io/x'],
  ])('%s', (_title, source) => {
    expect(() => needs(source)).toThrow(DockerfileUnsure);
  });
});

test('triggers of a base image are read the same way', () => {
  expect(triggerNeeds(['COPY . /app', 'COPY --from=evil.io/x / /'])).toMatchObject([{ image: 'evil.io/x' }]);
});

test('any text gives needs or DockerfileUnsure, quickly', () => {
  const piece = fc.constantFrom(
    'FROM ',
    'COPY --from=',
    'ARG ',
    'a',
    '$',
    '{',
    '}',
    '\\',
    '\n',
    ' ',
    '#',
    '"',
    '<<',
    '--',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      try {
        needs(pieces.join(''));
      } catch (error) {
        expect(error).toBeInstanceOf(DockerfileUnsure);
      }
    }),
    { numRuns: 3000 },
  );
});

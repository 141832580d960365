import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DaemonJsonProblem,
  lineChanges,
  mergeRuntime,
  unmergeRuntime,
} from '../../src/engine/daemon-json.js';

const launcher = '/var/lib/cofferdam/bin/cofferdam-runtime';

function roundTrip(text: string): string {
  const merged = mergeRuntime(text, launcher);
  return unmergeRuntime(merged.text, merged.previous);
}

describe('merging the runtime into daemon.json', () => {
  test('a missing file becomes one with the runtime as default', () => {
    expect(JSON.parse(mergeRuntime(undefined, launcher).text)).toEqual({
      runtimes: { 'sysbox-runc': { path: launcher } },
      'default-runtime': 'sysbox-runc',
    });
  });

  test('every other byte stays: order, tabs, large numbers, escapes, line ends', () => {
    const text =
      '{\r\n\t"log-opts": {"max-size": "10m"},\r\n\t"max-concurrent-downloads": 9007199254740993,\r\n\t"labels": ["\\u0061=b"],\r\n\t"runtimes": {\r\n\t\t"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []}\r\n\t}\r\n}';
    const { text: merged } = mergeRuntime(text, launcher);
    const kept = text.split('\r\n').filter((line) => line.trim() !== '}' && !line.includes('nvidia'));
    for (const line of kept) expect(merged).toContain(line);
    expect(merged).toContain('"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []}');
    expect(JSON.parse(merged).runtimes).toEqual({
      nvidia: { path: 'nvidia-container-runtime', runtimeArgs: [] },
      'sysbox-runc': { path: launcher },
    });
    expect(roundTrip(text)).toBe(text);
  });

  test('what was there under the same names comes back', () => {
    const text = `${JSON.stringify(
      { 'default-runtime': 'nvidia', runtimes: { 'sysbox-runc': { path: '/usr/bin/sysbox-runc' } } },
      null,
      4,
    )}\n`;
    const { text: merged } = mergeRuntime(text, launcher);
    expect(JSON.parse(merged)).toEqual({
      'default-runtime': 'sysbox-runc',
      runtimes: { 'sysbox-runc': { path: launcher } },
    });
    expect(JSON.parse(roundTrip(text))).toEqual(JSON.parse(text));
  });

  test('a second time changes nothing', () => {
    const once = mergeRuntime('{"debug":true}', launcher).text;
    expect(mergeRuntime(once, launcher).text).toBe(once);
  });

  test('a byte order mark stays', () => {
    expect(mergeRuntime('\uFEFF{}', launcher).text.startsWith('\uFEFF{')).toBe(true);
  });

  test.each([
    ['{"debug": true,}', /line 1, column 16/],
    ['{\n  // no\n}', /line 2/],
    ['[]', /not a JSON object/],
    ['{"runtimes": []}', /runtimes/],
    ['{"runtimes": {}, "runtimes": {}}', /"runtimes" is in it twice/],
    ['{"default-runtime": 3}', /default-runtime/],
  ])('%s is refused', (text, reason) => {
    expect(() => mergeRuntime(text, launcher)).toThrow(DaemonJsonProblem);
    expect(() => mergeRuntime(text, launcher)).toThrow(reason);
  });

  test('any object keeps its other keys through merge and unmerge', () => {
    const key = fc.string().filter((name) => !['default-runtime', 'runtimes', '__proto__'].includes(name));
    fc.assert(
      fc.property(
        fc.dictionary(key, fc.jsonValue()),
        fc.constantFrom(undefined, 1, 2, 4, '\t'),
        (value, indent) => {
          const text = JSON.stringify(value, null, indent);
          expect(JSON.parse(roundTrip(text))).toEqual(JSON.parse(text));
        },
      ),
    );
  });
});

test('line changes show what differs with a line around it', () => {
  expect(lineChanges('a\nb\nc\nd\ne\n', 'a\nb\nX\nd\ne\nf\n')).toEqual([
    '  b',
    '- c',
    '+ X',
    '  d',
    '  e',
    '+ f',
  ]);
  expect(lineChanges('', '{}\n')).toEqual(['+ {}']);
});

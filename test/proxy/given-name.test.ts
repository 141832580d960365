import { describe, expect, test } from 'vitest';
import { parseAnswerHead } from '../../src/proxy/answer-head.js';
import { withGivenName, withLength } from '../../src/proxy/given-name.js';

const id = '0123456789abcdef'.repeat(4);
const reword = (text: string): string => withGivenName(Buffer.from(text), { id, given: 'web' }).toString();

describe('where the engine repeats what it was given', () => {
  test.each([
    [
      `{"message":"cannot kill container: ${id}: invalid signal: NO"}`,
      '{"message":"cannot kill container: web: invalid signal: NO"}',
    ],
    [
      `{"message":"Cannot kill container: ${id}: Container ${id} is not running"}`,
      `{"message":"Cannot kill container: web: Container ${id} is not running"}`,
    ],
    [`{"message":"cannot stop container: ${id}: x"}`, '{"message":"cannot stop container: web: x"}'],
    [`{"message":"Cannot restart container ${id}: x"}`, '{"message":"Cannot restart container web: x"}'],
    [`{"message":"Error exporting container ${id}: x"}`, '{"message":"Error exporting container web: x"}'],
    [`{"message":"No such container: ${id}"}\n`, '{"message":"No such container: web"}\n'],
    [
      `{"message":"Could not find the file /a \\"b\\" in container ${id}"}`,
      '{"message":"Could not find the file /a \\"b\\" in container web"}',
    ],
    [
      `{"message":"cannot remove container \\"${id}\\": removal of container ${id} is already in progress"}`,
      '{"message":"cannot remove container \\"web\\": removal of container web is already in progress"}',
    ],
    [
      `{"message":"container ${id} is paused, unpause the container before attach"}`,
      '{"message":"container web is paused, unpause the container before attach"}',
    ],
  ])('%s', (sent, expected) => {
    expect(reword(sent)).toBe(expected);
  });
});

describe('where it shows the id of its own accord, it stays', () => {
  test.each([
    `{"message":"Container ${id} is not running"}`,
    `{"message":"You cannot remove a running container ${id}. Stop the container before attempting removal or force remove"}`,
    `{"message":"Cannot update container ${id}: x"}`,
    '{"message":"No such container: other"}',
    'not JSON',
  ])('%s', (text) => {
    expect(reword(text)).toBe(text);
  });
});

test('the length follows, in its own place among the fields', () => {
  const head = parseAnswerHead(
    'HTTP/1.1 409 Conflict\r\nServer: Docker\r\nContent-Length: 99\r\nDate: x\r\n\r\n',
    'POST',
  );
  expect(withLength(head, 7).fields.map(({ name, value }) => `${name}: ${value}`)).toEqual([
    'Server: Docker',
    'Content-Length: 7',
    'Date: x',
  ]);
  const chunked = parseAnswerHead('HTTP/1.1 500 Error\r\nTransfer-Encoding: chunked\r\n\r\n', 'POST');
  expect(withLength(chunked, 7)).toMatchObject({
    framing: { kind: 'length', length: 7 },
    fields: [{ key: 'content-length' }],
  });
});

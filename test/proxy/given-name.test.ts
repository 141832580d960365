import { describe, expect, test } from 'vitest';
import { parseAnswerHead, writeAnswerHead } from '../../src/proxy/answer-head.js';
import { shortAnswer } from '../../src/proxy/answer-reader.js';
import { withClientsWord, withGivenName } from '../../src/proxy/given-name.js';
import { noFacts } from '../../src/rules/no-facts.js';
import type { Rule } from '../../src/rules/rule.js';
import { RawClient } from './raw-client.js';
import { startScriptedEngine } from './scripted-engine.js';
import { engineFacts, startTestProxy } from './start.js';

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
    [
      `container ${id} is paused, unpause the container before attach\r\n`,
      'container web is paused, unpause the container before attach\r\n',
    ],
    [
      `{"message":"Container ${id} is paused, unpause the container before exec"}`,
      '{"message":"Container web is paused, unpause the container before exec"}',
    ],
    [
      `{"message":"checkpoint a does not exist for container ${id}"}`,
      '{"message":"checkpoint a does not exist for container web"}',
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

test('an id that stands for nothing else is the client’s word wherever it shows, as JSON writes it', () => {
  const name = { id, given: 'a<"b', invented: true };
  const body = Buffer.from(`{"message":"Cannot kill container: ${id}: No such container: ${id}"}\n`);
  expect(withGivenName(body, name).toString()).toBe(
    '{"message":"Cannot kill container: a\\u003c\\"b: No such container: a\\u003c\\"b"}\n',
  );
  expect(withGivenName(Buffer.from(`No such container: ${id}\r\n`), name).toString()).toBe(
    'No such container: a<"b\r\n',
  );
});

describe('the end of the answer is known as before', () => {
  const name = { id, given: 'web' };
  const content = Buffer.from(`{"message":"No such container: ${id}"}\n`);
  const shorter = '{"message":"No such container: web"}\n';
  const answer = (fields: string, method = 'GET') => ({
    head: parseAnswerHead(`HTTP/1.1 404 Not Found\r\nServer: Docker\r\n${fields}Date: x\r\n\r\n`, method),
    content: method === 'HEAD' ? Buffer.alloc(0) : content,
  });
  const written = (fields: string, method?: string): string => {
    const [head, body] = withClientsWord(answer(fields, method), name);
    return writeAnswerHead(head, undefined) + body.toString();
  };
  const head = 'HTTP/1.1 404 Not Found\r\nServer: Docker\r\n';

  test('by a length, in its own place among the fields', () => {
    expect(written(`Content-Length: ${content.length}\r\n`)).toBe(
      `${head}Content-Length: ${shorter.length}\r\nDate: x\r\n\r\n${shorter}`,
    );
  });

  test('by a last chunk', () => {
    expect(written('Transfer-Encoding: chunked\r\n')).toBe(
      `${head}Transfer-Encoding: chunked\r\nDate: x\r\n\r\n${shorter.length.toString(16)}\r\n${shorter}\r\n0\r\n\r\n`,
    );
  });

  test('by the connection’s end', () => {
    expect(written('')).toBe(`${head}Date: x\r\n\r\n${shorter}`);
  });

  test('without a body, by the length that it would have', () => {
    expect(written(`Content-Length: ${content.length}\r\n`, 'HEAD')).toBe(
      `${head}Content-Length: ${shorter.length}\r\nDate: x\r\n\r\n`,
    );
  });
});

const asksForIt: Rule = {
  id: 'asks',
  summary: '',
  setting: 'none',
  whenIsolationIsOff: 'judges',
  routes: ['container.inspect'],
  needs: () => [{ kind: 'container', ref: 'web' }],
  judge: () => [],
};

describe('of an error longer than the engine’s own, nothing is replaced', () => {
  test.each([
    ['with its length', true],
    ['without', false],
  ])('%s', async (_kind, announced) => {
    const engine = await startScriptedEngine(async (side) => {
      await side.untilText('\r\n\r\n');
      const asked = /\/containers\/(\w+)\//.exec(side.text)?.[1];
      const body = `No such container: ${asked}${'x'.repeat(shortAnswer)}`;
      const length = announced ? `Content-Length: ${body.length}\r\n` : '';
      side.socket.end(`HTTP/1.1 404 Not Found\r\n${length}\r\n${body}`);
    });
    const facts = {
      engine: () => engineFacts,
      resolve: async () => ({ ...noFacts }),
      changing: () => () => undefined,
      noteExec: () => undefined,
    };
    const proxy = await startTestProxy(engine.socket, { rules: [asksForIt], facts });
    const client = new RawClient(proxy.socket);
    try {
      client.send('GET /containers/web/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      expect(await client.untilEnd()).toMatch(/\r\n\r\nNo such container: [0-9a-f]{64}x{65536}$/);
    } finally {
      client.close();
      await proxy.stop();
      await engine.stop();
    }
  });
});

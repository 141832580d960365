/** Whose an exec is stands in the engine's answer to its create: nothing else is learnt, and the answer passes as it is. */
import { afterEach, describe, expect, it } from 'vitest';
import { RawClient } from './raw-client.js';
import { answering, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { engineFacts, startTestProxy, type TestProxy } from './start.js';

const container = 'c0ffee'.padEnd(64, '0');
const execId = 'e'.repeat(64);

let engine: ScriptedEngine;
let proxy: TestProxy;
let client: RawClient;
let learnt: (readonly string[])[];

afterEach(async () => {
  client.close();
  await proxy.stop();
  await engine.stop();
});

/** The answer that a client gets who makes an exec. */
async function createExec(answer: string, name = container): Promise<string> {
  learnt = [];
  engine = await startScriptedEngine(answering(answer));
  proxy = await startTestProxy(engine.socket, {
    facts: {
      engine: () => engineFacts,
      resolve: () => Promise.reject(new Error('no rule of this test needs facts')),
      changing: () => () => undefined,
      noteExec: (...exec) => void learnt.push(exec),
    },
  });
  client = new RawClient(proxy.socket);
  const head = `POST /v1.45/containers/${name}/exec HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json`;
  client.send(`${head}\r\nContent-Length: 16\r\nConnection: close\r\n\r\n{"Cmd":["true"]}`);
  return client.untilEnd();
}

const withLength = (status: string, body: string): string =>
  `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const made = `{"Id":"${execId}"}\n`;

describe('an exec that the engine made', () => {
  it.each([
    ['with its length', withLength('201 Created', made)],
    [
      'in chunks',
      `HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n${made.length.toString(16)}\r\n${made}\r\n0\r\n\r\n`,
    ],
  ])('answered %s is learnt', async (_how, answer) => {
    const [head = '', body] = answer.split('\r\n\r\n');
    const got = await createExec(answer);
    expect(got.startsWith(head)).toBe(true);
    expect(got).toContain(`\r\n\r\n${body}`);
    expect(learnt).toEqual([[execId, container]]);
  });
});

describe('nothing is learnt, and the answer passes,', () => {
  it.each([
    ['of a container that the engine got by a name', withLength('201 Created', made), 'web'],
    ['of an error', withLength('409 Conflict', made), container],
    ['of an answer that names none', withLength('201 Created', '{"Id":""}'), container],
    ['of an answer that is no JSON', withLength('201 Created', 'nonsense'), container],
    ['of an answer longer than any', withLength('201 Created', `${made}${' '.repeat(65_536)}`), container],
  ])('%s', async (_what, answer, name) => {
    const got = await createExec(answer, name);
    expect(got.slice(got.indexOf('\r\n\r\n'))).toBe(answer.slice(answer.indexOf('\r\n\r\n')));
    expect(learnt).toEqual([]);
  });
});

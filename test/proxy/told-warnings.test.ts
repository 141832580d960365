import { afterEach, describe, expect, test } from 'vitest';
import type { Rule } from '../../src/rules/rule.js';
import { RawClient } from './raw-client.js';
import { answering, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { startTestProxy, type TestProxy } from './start.js';

const id = 'c'.repeat(64);

const warns: Rule = {
  id: 'warns',
  summary: '',
  setting: 'none',
  whenIsolationIsOff: 'judges',
  routes: ['container.create', 'network.create', 'volume.create'],
  judge: () => [{ kind: 'warn', rule: 'warns', field: '/Name', reason: 'it is "tried" out' }],
};
const text = 'enhanced container isolation: it is "tried" out (rule warns at /Name)';

let engine: ScriptedEngine;
let proxy: TestProxy;
let client: RawClient;

afterEach(async () => {
  client.close();
  await proxy.stop();
  await engine.stop();
});

/** What a client gets whose request is answered by the engine with an answer. */
async function asked(path: string, answer: string): Promise<string> {
  engine = await startScriptedEngine(answering(answer));
  proxy = await startTestProxy(engine.socket, { rules: [warns] });
  client = new RawClient(proxy.socket);
  const json = path.startsWith('/containers') ? '{"Image":"busybox"}' : '{"Name":"n"}';
  const fields = `Host: x\r\nContent-Type: application/json\r\nContent-Length: ${json.length}\r\nConnection: close`;
  client.send(`POST ${path} HTTP/1.1\r\n${fields}\r\n\r\n${json}`);
  return client.untilEnd();
}

const bodyOf = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4);
const json = (content: string, status = '201 Created') =>
  `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${content.length}\r\n\r\n${content}`;

describe('what the rules only warn about, the client is told', () => {
  test('behind the engine’s own warnings, with the length that it has', async () => {
    const answer = await asked('/containers/create', json(`{"Id":"${id}","Warnings":["its own"]}\n`));
    expect(JSON.parse(bodyOf(answer))).toEqual({ Id: id, Warnings: ['its own', text] });
    expect(answer).toContain(`Content-Length: ${bodyOf(answer).length}\r\n`);
  });

  test('where the engine has none, in chunks as well', async () => {
    const content = `{"Id":"${id}","Warnings":null}\n`;
    const size = content.length.toString(16);
    const chunked = `HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${content}\r\n0\r\n\r\n`;
    const [length, told, end] = bodyOf(await asked('/containers/create', chunked)).split('\r\n');
    expect(JSON.parse(told ?? '')).toEqual({ Id: id, Warnings: [text] });
    expect([Number.parseInt(length ?? '', 16), end]).toEqual([told?.length, '0']);
  });

  test('in the one text that a network’s answer has', async () => {
    const answer = await asked('/networks/create', json(`{"Id":"${id}","Warning":""}`));
    expect(JSON.parse(bodyOf(answer))).toEqual({ Id: id, Warning: text });
  });

  test.each([
    ['an error', '/containers/create', json('{"message":"no such image"}', '404 Not Found')],
    ['an answer that isn’t JSON', '/networks/create', json('made')],
    ['an answer without a place for it', '/volumes/create', json('{"Name":"v"}')],
  ])('but never in %s', async (_what, path, answer) => {
    expect(bodyOf(await asked(path, answer))).toBe(bodyOf(answer));
    expect(proxy.records).toEqual([
      expect.objectContaining({ rules: ['warns'], warnings: ['it is "tried" out'] }),
    ]);
  });
});

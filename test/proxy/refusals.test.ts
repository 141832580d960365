/** deny body is HTML instead of Docker's JSON: here it is JSON, whole, and every exit leaves a record. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Denial, Rule } from '../../src/rules/rule.js';
import { messageOf, RawClient, statusOf } from './raw-client.js';
import { answering, ok, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { startTestProxy, type TestProxy } from './start.js';

let engine: ScriptedEngine;
let proxy: TestProxy;
let client: RawClient;

const denial = (field: string, reason: string): Denial => ({
  kind: 'deny',
  rule: 'test-rule',
  field,
  reason,
  setting: 'enhancedContainerIsolation.value',
  remedy: 'Leave it out.',
});

const rule = (routes: readonly string[], judge: Rule['judge']): Rule => ({
  id: 'test-rule',
  summary: 'Refuses, rewrites or fails.',
  setting: 'none',
  whenIsolationIsOff: 'judges',
  routes,
  judge,
});

beforeEach(async () => {
  engine = await startScriptedEngine(answering(ok()));
  proxy = await startTestProxy(engine.socket, {
    rules: [
      rule(['volume.create'], () => [
        denial('/Driver', 'no "<such>" driver'),
        denial('/DriverOpts', 'no options'),
      ]),
      rule(['container.delete'], () => [
        { kind: 'set-query', rule: 'test-rule', name: 'force', value: '1', reason: 'always by force' },
        { kind: 'warn', rule: 'test-rule', field: 'path', reason: 'worth a look' },
      ]),
      rule(['container.kill'], () => {
        throw new TypeError('a fault with /etc/shadow in its text');
      }),
    ],
  });
  client = new RawClient(proxy.socket);
});

afterEach(async () => {
  client.close();
  await proxy.stop();
  await engine.stop();
});

const volume = '{"Name":"data"}';
const createVolume = `POST /v1.45/volumes/create HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: ${volume.length}\r\n\r\n${volume}`;

describe('a refusal', () => {
  it('deny body is HTML: it is Docker’s JSON with all violations, and the connection goes on', async () => {
    await client.send(createVolume).untilText('}\n');
    expect(statusOf(client.text)).toBe(403);
    expect(messageOf(client.text)).toContain('enhanced container isolation: ');
    expect(messageOf(client.text)).toContain('no "<such>" driver');
    expect(messageOf(client.text)).toContain('no options');
    expect(client.text).not.toContain('<html');
    expect(client.text).not.toContain('Connection: close');
    expect(engine.connections).toHaveLength(0);
    client.forget().send('GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n');
    await client.untilText('OK');
  });

  it('has no body for HEAD', async () => {
    await client.send('HEAD /v1.45/nothing HTTP/1.1\r\nHost: docker\r\n\r\n').untilText('\r\n\r\n');
    await client.send('GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n').untilText('OK');
    expect(client.text).not.toContain('message');
  });

  it('of an unknown endpoint reads as the engine’s own', async () => {
    await client.send('GET /v1.45/nothing HTTP/1.1\r\nHost: docker\r\n\r\n').untilText('}\n');
    expect(statusOf(client.text)).toBe(404);
    expect(messageOf(client.text)).toBe('page not found');
  });

  it('of an upload ends the connection, and its body goes nowhere', async () => {
    client.send('POST /v1.45/nothing HTTP/1.1\r\nHost: docker\r\nContent-Length: 1000000\r\n\r\npart');
    expect(statusOf(await client.untilEnd())).toBe(404);
    expect(client.text).toContain('Connection: close\r\n');
    expect(engine.connections).toHaveLength(0);
  });

  it('of broken JSON says where, and the engine gets nothing', async () => {
    const broken = '{"Name":"a","Name":"b"}';
    client.send(
      createVolume.replace(volume, broken).replace(`Length: ${volume.length}`, `Length: ${broken.length}`),
    );
    await client.untilText('}\n');
    expect(statusOf(client.text)).toBe(400);
    expect(engine.connections).toHaveLength(0);
  });
});

describe('a fault of a rule', () => {
  it('refuses the request without telling its text', async () => {
    await client.send('POST /v1.45/containers/web/kill HTTP/1.1\r\nHost: docker\r\n\r\n').untilText('}\n');
    expect(statusOf(client.text)).toBe(500);
    expect(client.text).not.toContain('shadow');
    expect(engine.connections).toHaveLength(0);
    expect(proxy.errors).toHaveLength(1);
  });
});

describe('the record', () => {
  it('is written on every exit, and names things without quoting them', async () => {
    client.send(createVolume);
    await client.untilText('}\n');
    client.forget().send('DELETE /v1.45/containers/web?v=1 HTTP/1.1\r\nHost: docker\r\n\r\n');
    await client.untilText('OK');
    client.forget().send('POST /v1.45/containers/web/kill HTTP/1.1\r\nHost: docker\r\n\r\n');
    await client.untilText('}\n');
    client.forget().send('GET /v1.45/containers/json?filters=secret HTTP/1.1\r\nHost: docker\r\n\r\n');
    await client.untilText('OK');
    client.forget().send('nonsense\r\n\r\n');
    await client.untilText('}\n');
    await expect.poll(() => proxy.records.length).toBe(5);
    expect(proxy.records).toMatchObject([
      {
        route: 'volume.create',
        path: '/v1.45/volumes/create',
        verdict: 'denied',
        status: 403,
        rules: ['test-rule'],
      },
      {
        route: 'container.delete',
        verdict: 'rewritten',
        status: 200,
        rewritten: ['query:force'],
        warnings: ['worth a look'],
      },
      { route: 'container.kill', verdict: 'failed', status: 500, error: 'COFFERDAM_INTERNAL' },
      { route: 'container.list', verdict: 'allowed', status: 200 },
      { method: '', verdict: 'malformed', status: 400, error: 'COFFERDAM_BAD_HEAD' },
    ]);
    expect(engine.text).toContain('DELETE /v1.45/containers/web?v=1&force=1 HTTP/1.1\r\n');
    expect(JSON.stringify(proxy.records)).not.toContain('secret');
  });
});

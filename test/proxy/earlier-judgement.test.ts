/** A judgement is used again only while everything that it follows from is the very same. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ContainerFiles } from '../../src/container-files/container-files.js';
import { EngineClient, EngineError } from '../../src/engine/client.js';
import { noFacts } from '../../src/rules/no-facts.js';
import type { EngineFacts, Facts, Rule } from '../../src/rules/rule.js';
import { defaultSettings } from '../../src/settings/schema.js';
import { RawClient } from './raw-client.js';
import { answering, ok, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { engineFacts, startTestProxy, type TestProxy } from './start.js';

let engine: ScriptedEngine;
let proxy: TestProxy;
let clients: RawClient[];
let judged: number;
let refuses: boolean;
let needsFacts: boolean;
let factsHold: boolean;
let settings: { current: typeof defaultSettings; generation: number };
let known: EngineFacts;
let away: boolean;
let looked: number;

const rule: Rule = {
  id: 'counts',
  summary: '',
  setting: '',
  whenIsolationIsOff: 'judges',
  routes: ['*'],
  needs: () => (needsFacts ? [{ kind: 'container', ref: 'c'.repeat(64) }] : []),
  judge: () => {
    judged += 1;
    const denial = {
      kind: 'deny',
      rule: 'counts',
      setting: '',
      field: 'path',
      reason: 'no',
      remedy: '',
    } as const;
    return refuses ? [denial] : [];
  },
};

beforeEach(async () => {
  clients = [];
  judged = 0;
  refuses = false;
  needsFacts = false;
  factsHold = true;
  settings = { current: defaultSettings, generation: 1 };
  known = engineFacts;
  away = false;
  engine = await startScriptedEngine(answering(ok()));
  const found: Facts = { ...noFacts };
  proxy = await startTestProxy(engine.socket, {
    settings,
    rules: [rule],
    containerFiles: new ContainerFiles(new EngineClient(engine.socket), () => {
      looked += 1;
      return undefined;
    }),
    facts: {
      engine: () => (away ? Promise.reject(new EngineError('COFFERDAM_ENGINE_AWAY', 'away')) : known),
      resolve: () => found,
      stillHold: (facts) => facts === found && factsHold,
      changing: () => () => undefined,
      noteExec: () => undefined,
    },
  });
});
afterEach(async () => {
  for (const client of clients) client.close();
  await proxy.stop();
  await engine.stop();
});

function connect(): RawClient {
  const client = new RawClient(proxy.socket);
  clients.push(client);
  return client;
}

/** Sends a request and waits for the status of its answer. */
async function ask(client: RawClient, line = 'GET /v1.45/info', fields = ''): Promise<string> {
  const before = client.text.length;
  client.send(`${line} HTTP/1.1\r\nHost: docker\r\n${fields}\r\n`);
  await expect.poll(() => client.text.slice(before)).toMatch(/\r\n\r\n./s);
  return client.text.slice(before + 9, before + 12);
}

describe('the same request again on a connection', () => {
  it('is judged once, and has its own record', async () => {
    const client = connect();
    for (let count = 0; count < 3; count += 1) expect(await ask(client)).toBe('200');
    expect(judged).toBe(1);
    expect(proxy.records.filter(({ event }) => event === 'request')).toHaveLength(3);
    expect(proxy.records.at(-1)).toMatchObject({ route: 'system.info', verdict: 'allowed', status: 200 });
  });

  it('is judged anew under other settings, at once', async () => {
    const client = connect();
    expect(await ask(client)).toBe('200');
    settings.current = { ...defaultSettings };
    refuses = true;
    expect(await ask(client)).toBe('403');
    expect(await ask(client)).toBe('403');
    expect(judged).toBe(3);
  });

  it('is judged anew when the engine can do something else', async () => {
    const client = connect();
    await ask(client);
    known = { ...engineFacts };
    await ask(client);
    expect(judged).toBe(2);
  });

  it('is answered with an error while nobody can tell what the engine can do, and nothing else happens', async () => {
    const client = connect();
    await ask(client);
    const unheard: unknown[] = [];
    const note = (reason: unknown) => void unheard.push(reason);
    process.on('unhandledRejection', note);
    away = true;
    expect(await ask(client)).toBe('502');
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    expect(unheard).toEqual([]);
    away = false;
    expect(await ask(client)).toBe('200');
  });

  it('is judged anew when a fact that it rests on does not hold any more', async () => {
    needsFacts = true;
    const client = connect();
    expect(await ask(client)).toBe('200');
    expect(await ask(client)).toBe('200');
    expect(judged).toBe(1);
    factsHold = false;
    refuses = true;
    expect(await ask(client)).toBe('403');
    expect(judged).toBe(2);
  });

  it('is refused again when it was refused, by a judgement of its own', async () => {
    refuses = true;
    const client = connect();
    expect(await ask(client)).toBe('403');
    expect(await ask(client)).toBe('403');
    expect(judged).toBe(2);
  });

  it('has the engine’s view of a container’s files made fresh each time', async () => {
    looked = 0;
    const client = connect();
    for (let count = 0; count < 3; count += 1) {
      expect(await ask(client, `GET /v1.45/containers/${'c'.repeat(64)}/changes`)).toBe('200');
    }
    expect(looked).toBe(3);
  });

  it('is judged on every connection: another caller may be behind it', async () => {
    await ask(connect());
    await ask(connect());
    expect(judged).toBe(2);
  });
});

describe('judged each time', () => {
  it.each([
    ['another path', 'GET /v1.45/version', ''],
    ['another query', 'GET /v1.45/containers/json?all=1', ''],
    ['another field', 'GET /v1.45/info', 'User-Agent: other\r\n'],
  ])('is a request with %s', async (_what, line, fields) => {
    const client = connect();
    await ask(client);
    await ask(client, line, fields);
    expect(judged).toBe(2);
    await ask(client);
    expect(judged).toBe(3);
  });

  it.each([
    ['changes something', 'POST /v1.45/containers/web/start', ''],
    ['has a credential', 'GET /v1.45/info', 'X-Registry-Auth: e30=\r\n'],
  ])('is a request that %s', async (_what, line, fields) => {
    const client = connect();
    await ask(client, line, fields);
    await ask(client, line, fields);
    expect(judged).toBe(2);
  });
});

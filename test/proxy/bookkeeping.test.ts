/** A container stands in the ledger before the client hears of it, whatever goes wrong on the way. */
import { afterEach, describe, expect, it } from 'vitest';
import { rules } from '../../src/rules/index.js';
import { noFacts } from '../../src/rules/no-facts.js';
import { AllocatorError } from '../../src/uid-allocator/errors.js';
import { type Ledger, openLedger } from '../../src/uid-allocator/ledger.js';
import { messageOf, RawClient, statusOf } from './raw-client.js';
import { type EngineSide, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { engineFacts, startTestProxy, type TestProxy, temporaryFolder } from './start.js';

let engine: ScriptedEngine;
let proxy: TestProxy;
let client: RawClient;
let ledger: Ledger;

afterEach(async () => {
  client.close();
  await proxy.stop();
  await engine.stop();
});

async function start(
  script: (side: EngineSide) => Promise<void>,
  broken: Partial<Pick<Ledger, 'intend' | 'settle'>> = {},
): Promise<void> {
  engine = await startScriptedEngine(script);
  ledger = openLedger(temporaryFolder());
  const real = ledger;
  proxy = await startTestProxy(engine.socket, {
    rules: rules.filter(({ id }) => id === 'runtime'),
    facts: {
      engine: () => engineFacts,
      resolve: () => Promise.resolve({ ...noFacts }),
      changing: () => () => undefined,
      noteExec: () => undefined,
    },
    ledger: {
      intend: broken.intend ?? ((request) => real.intend(request)),
      settle: broken.settle ?? ((...settled) => real.settle(...settled)),
      abandon: (intent) => real.abandon(intent),
      read: (containerId) => real.read(containerId),
    },
  });
  client = new RawClient(proxy.socket);
}

const id = 'c0ffee'.padEnd(64, '0');
const body = '{"Image":"busybox","HostConfig":{"Runtime":"runc"}}';
const create = `POST /v1.45/containers/create?name=web HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const answer = (status: string, text: string) =>
  `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
const created = answer('201 Created', `{"Id":"${id}","Warnings":[]}`);

function intents(): number {
  return ledger.survey().intents.length;
}

describe('a create', () => {
  it('is noted before the engine hears of it, and settled before the client does', async () => {
    let noted = 0;
    await start(async (side) => {
      await side.untilText('"Runtime"');
      noted = intents();
      side.socket.write(created);
    });
    await client.send(create).untilText('Warnings');
    expect(noted).toBe(1);
    expect(client.text).toBe(created);
    expect(ledger.read(id)).toMatchObject({ id, caller: { uid: process.getuid?.() } });
    expect(intents()).toBe(0);
    expect(engine.text).toContain('"Runtime":"sysbox-runc"');
    expect(engine.text).toMatch(/\r\nContent-Length: \d+\r\n/);
    expect(proxy.records[0]).toMatchObject({
      verdict: 'rewritten',
      objects: [id],
      rewritten: ['/HostConfig/Runtime'],
    });
  });

  it('answered in chunks is settled as well', async () => {
    const text = `{"Id":"${id}","Warnings":[]}`;
    await start(async (side) => {
      await side.untilText('"Runtime"');
      side.socket.write(
        `HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n`,
      );
      setTimeout(() => side.socket.write('0\r\n\r\n'), 20);
    });
    await client.send(create).untilText('0\r\n\r\n');
    expect(ledger.read(id)?.id).toBe(id);
  });

  it.each([
    ['that the engine refuses', answer('409 Conflict', '{"message":"in use"}'), 409],
    ['whose answer names no container', answer('201 Created', '{"Id":""}'), 502],
    ['whose answer is no JSON', answer('201 Created', 'nonsense'), 502],
  ])('%s leaves no range behind', async (_name, text, status) => {
    await start(async (side) => {
      await side.untilText('"Runtime"');
      side.socket.write(text);
    });
    await client.send(create).untilText('}');
    expect(statusOf(client.text)).toBe(status);
    expect(intents()).toBe(0);
    expect(ledger.list()).toEqual([]);
  });

  it('during which the engine goes away leaves no range behind', async () => {
    await start(async (side) => {
      await side.untilText('"Runtime"');
      side.socket.destroy();
    });
    await client.send(create).untilText('}\n');
    expect(statusOf(client.text)).toBe(502);
    expect(intents()).toBe(0);
  });

  it('whose client goes away is seen through', async () => {
    await start(async (side) => {
      await side.untilText('"Runtime"');
      client.close();
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(side.ended).toBe(false);
      side.socket.write(created);
    });
    client.send(create);
    await expect.poll(() => ledger.read(id)?.id).toBe(id);
  });
});

describe('a ledger that fails', () => {
  it('before the create: the engine never hears of it', async () => {
    await start(async () => undefined, {
      intend: () => {
        throw new AllocatorError('COFFERDAM_RANGES_EXHAUSTED', 'every range is in use');
      },
    });
    await client.send(create).untilText('}\n');
    expect(statusOf(client.text)).toBe(500);
    expect(messageOf(client.text)).toContain('every range is in use');
    expect(engine.connections).toHaveLength(0);
    expect(proxy.records[0]).toMatchObject({ verdict: 'failed', error: 'COFFERDAM_LEDGER' });
  });

  it('behind the create: the client doesn’t get the container', async () => {
    await start(
      async (side) => {
        await side.untilText('"Runtime"');
        side.socket.write(created);
      },
      {
        settle: () => {
          throw new AllocatorError('COFFERDAM_LEDGER_UNAVAILABLE', 'the disk is full');
        },
      },
    );
    await client.send(create).untilText('}\n');
    expect(statusOf(client.text)).toBe(500);
    expect(client.text).not.toContain(id);
    expect(intents()).toBe(0);
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { hostMap, parseUidMap } from '../support/uid-map.js';

function isolation(value: boolean) {
  return { configurationFileVersion: 2, enhancedContainerIsolation: { value, locked: false } };
}

describe.each(['20.10', '26.1'] as const)('settings changed while running, on engine %s', (version) => {
  let engine: Engine;
  let cofferdam: Cofferdam;
  const map = async () =>
    parseUidMap(
      await cofferdam.cli.must('run', '--rm', '--network', 'none', 'busybox', 'cat', '/proc/self/uid_map'),
    );
  const runtime = async () => {
    const id = await cofferdam.cli.must('create', '--network', 'none', 'busybox');
    return cofferdam.cli.must('inspect', '--format={{.HostConfig.Runtime}}', id);
  };
  beforeAll(async () => {
    engine = await startIsolatingEngine({ version });
    cofferdam = await startCofferdam({ engine });
    await importBusybox(cofferdam.cli);
  });
  afterAll(async () => {
    await cofferdam?.close();
    await engine?.stop();
  });

  test('isolation off and on again, without a restart', async () => {
    expect((await map()).size).toBe(65_536);
    cofferdam.writeSettings(isolation(false));
    await expect.poll(runtime, { timeout: 10_000 }).toBe('runc');
    expect(await map()).toEqual(hostMap);
    cofferdam.writeSettings(isolation(true));
    await expect.poll(runtime, { timeout: 10_000 }).toBe('sysbox-runc');
    expect((await map()).size).toBe(65_536);
  });

  test('broken settings leave the last good ones in force, and are logged', async () => {
    cofferdam.writeSettings('{"enhancedContainerIsolation": {"value": "perhaps"}}');
    await cofferdam.logged(/enhancedContainerIsolation/);
    expect((await map()).size).toBe(65_536);
  });
});

test('broken settings at start: exit 78 and the key', async () => {
  const engine = await startIsolatingEngine({ version: '26.1' });
  try {
    const settings = { enhancedContainerIsolation: { value: 'perhaps' } };
    await expect(startCofferdam({ engine, settings })).rejects.toThrow(
      /ended with 78[\s\S]*enhancedContainerIsolation.*value/,
    );
  } finally {
    await engine.stop();
  }
});

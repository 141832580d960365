/**
 * A proxy between a raw client and an engine that follows a script, made anew by each test and gone after it. Importing
 * this registers the cleaning up for the file's tests.
 */
import { afterEach } from 'vitest';
import { RawClient } from './raw-client.js';
import { type EngineSide, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { startTestProxy, type TestProxy } from './start.js';

/** Those of the running test. */
export let engine: ScriptedEngine;
export let proxy: TestProxy;
export let client: RawClient;

afterEach(async () => {
  client.close();
  await proxy.stop();
  await engine.stop();
});

/** Starts all three; `script` is played for each connection that the engine gets, `index` counting from 0. */
export async function start(script: (side: EngineSide, index: number) => Promise<void>): Promise<RawClient> {
  engine = await startScriptedEngine(script);
  proxy = await startTestProxy(engine.socket);
  client = new RawClient(proxy.socket);
  return client;
}

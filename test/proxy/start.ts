/**
 * Starts the real proxy in front of an engine's socket for a test, with parts that can be exchanged one by one.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditRecord } from '../../src/audit/record.js';
import { type ProxyOptions, type RunningProxy, startProxy } from '../../src/proxy/proxy.js';
import type { EngineFacts } from '../../src/rules/rule.js';
import { defaultSettings } from '../../src/settings/schema.js';
import { openLedger } from '../../src/uid-allocator/ledger.js';

export interface TestProxy {
  /** Path of the proxy's socket. */
  readonly socket: string;
  readonly proxy: RunningProxy;
  /** Every audit record so far. */
  readonly records: AuditRecord[];
  /** Every error that was logged. */
  readonly errors: unknown[];
  stop(): Promise<void>;
}

export const engineFacts: EngineFacts = {
  version: '26.1.5',
  apiVersion: '1.45',
  cgroupVersion: '2',
  dataRoot: '/var/lib/docker',
};

/** A folder of its own below the temporary folder, short enough for socket paths. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'cofferdam-'));
}

/** Starts a proxy without rules, unless they are given. */
export async function startTestProxy(
  engineSocket: string,
  options: Partial<ProxyOptions> = {},
): Promise<TestProxy> {
  const folder = temporaryFolder();
  const socket = join(folder, 'docker.sock');
  const records: AuditRecord[] = [];
  const errors: unknown[] = [];
  const log = (...entry: unknown[]) => void errors.push(entry);
  const proxy = await startProxy({
    listen: [`unix://${socket}`],
    engineSocket,
    settings: { current: defaultSettings, generation: 1 },
    ledger: openLedger(folder),
    facts: {
      engine: () => engineFacts,
      resolve: () => Promise.reject(new Error('no rule of this test needs facts')),
      changing: () => () => undefined,
      noteExec: () => undefined,
    },
    rules: [],
    judgeGrpc: () => ({ method: () => 'pass', message: () => Promise.resolve({ kind: 'allow' }) }),
    audit: { record: (entry) => void records.push(entry) },
    log: { error: log, warn: log, info: log },
    ...options,
  });
  return {
    socket,
    proxy,
    records,
    errors,
    stop: async () => {
      await proxy.close({ drainMilliseconds: 0 });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A judge with a list of two registries, for tests, and what it says of one message. */
import { expect } from 'vitest';
import type { GrpcVerdict } from '../../../src/registry/buildkit/grpc-judge.js';
import { buildkitJudge } from '../../../src/registry/buildkit/judge.js';
import { inspected } from '../../../src/registry/buildkit/methods.js';
import { WireMessage } from '../../../src/registry/buildkit/wire.js';
import { settingsSchema } from '../../../src/settings/schema.js';

export const list = {
  registryAccess: {
    value: true,
    registries: [{ address: 'good.example' }, { address: 'pull.example', allow: ['pull'] }],
    localImages: true,
    urls: ['https://good.example/**'],
  },
};

export interface Options {
  readonly settings?: unknown;
  readonly engineVersion?: string;
  readonly local?: readonly string[];
}

export function judgeOf({ settings = list, engineVersion = '28.5.2', local = [] }: Options = {}) {
  const parsed = settingsSchema.parse(settings);
  return buildkitJudge({ settings: () => parsed, engineVersion, localImages: async () => local });
}

export async function judge(path: string, bytes: Uint8Array, options: Options = {}): Promise<GrpcVerdict> {
  return judgeOf(options).message(path, bytes);
}

export async function refusal(path: string, bytes: Uint8Array, options: Options = {}): Promise<string> {
  const verdict = await judge(path, bytes, options);
  return verdict.kind === 'deny' ? verdict.message : `not refused: ${verdict.kind}`;
}

/** What is appended to the client's own bytes. */
export async function appended(bytes: Uint8Array, options: Options = {}): Promise<WireMessage> {
  const verdict = await judge(inspected.controlSolve, bytes, options);
  if (verdict.kind !== 'replace') throw new Error(JSON.stringify(verdict));
  expect(Buffer.from(verdict.message.subarray(0, bytes.length))).toEqual(Buffer.from(bytes));
  return WireMessage.parse(verdict.message.subarray(bytes.length));
}

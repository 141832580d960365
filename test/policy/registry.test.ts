import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Bundle } from '../../src/policy/bundle.js';
import { PolicyRefresh } from '../../src/policy/refresh.js';
import { settingsSchema } from '../../src/settings/schema.js';
import { CountedRegistry } from '../registry/registries.js';
import { newKeys, signedBundle } from './signed-bundle.js';

const envelopeType = 'application/vnd.dsse.envelope.v1+json';
const keys = newKeys();
const folder = mkdtempSync('/var/tmp/cofferdam-policy-registry-');
const locked = { enhancedContainerIsolation: { value: true, locked: true } };
let registry: CountedRegistry;
let state: string;
let bundles: Bundle[];
let outcomes: string[];
let policy: PolicyRefresh;

function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function put(path: string, bytes: Buffer, type: string): Promise<void> {
  const { status } = await fetch(`http://${registry.address}${path}`, {
    method: 'PUT',
    body: new Uint8Array(bytes),
    headers: { 'Content-Type': type },
  });
  expect(status).toBe(201);
}

async function putBlob(bytes: Buffer): Promise<{ digest: string; size: number }> {
  const begun = await fetch(`http://${registry.address}/v2/team/policy/blobs/uploads/`, { method: 'POST' });
  const place = new URL(begun.headers.get('location') ?? '', `http://${registry.address}`);
  place.searchParams.set('digest', sha256(bytes));
  await put(place.pathname + place.search, bytes, 'application/octet-stream');
  return { digest: sha256(bytes), size: bytes.length };
}

/** Pushes a text as `oras push` would, under a tag. */
async function push(tag: string, text: string, mediaType = envelopeType): Promise<void> {
  const [layer, config] = [await putBlob(Buffer.from(text)), await putBlob(Buffer.from('{}'))];
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.empty.v1+json', ...config },
    layers: [{ mediaType, ...layer }],
  };
  await put(`/v2/team/policy/manifests/${tag}`, Buffer.from(JSON.stringify(manifest)), manifest.mediaType);
}

beforeAll(async () => {
  registry = await CountedRegistry.start();
});
beforeEach(() => {
  state = mkdtempSync(join(folder, 'state-'));
  bundles = [];
  outcomes = [];
  policy = new PolicyRefresh({
    settings: settingsSchema.parse({
      policy: { url: `oci://${registry.address}/team/policy:stable`, publicKey: keys.public },
    }).policy,
    stateDir: state,
    onBundle: (taken) => bundles.push(taken),
    onFailure: () => undefined,
    onRefresh: (outcome) => outcomes.push(outcome),
    log: { info: () => undefined, warn: () => undefined },
  });
});
afterEach(() => policy.close());
afterAll(async () => {
  await registry.close();
  rmSync(folder, { recursive: true });
});

describe('a bundle in an OCI registry', () => {
  it('is taken, asked for by its digest, and replaced when the tag moves', async () => {
    await push('stable', signedBundle(keys.private, 1, locked));
    await policy.refresh();
    expect(bundles[0]?.settings.settings.enhancedContainerIsolation.locked).toBe(true);
    await policy.refresh();
    await push('stable', signedBundle(keys.private, 2, locked));
    await policy.refresh();
    expect(outcomes).toEqual(['taken', 'unchanged', 'taken']);
    expect(policy.state).toMatchObject({ serial: 2, overdue: false });
  });

  it.each([
    ['of another key', () => push('stable', signedBundle(newKeys().private, 9, {})), /not signed/],
    [
      'of another type',
      () => push('stable', signedBundle(keys.private, 9, {}), 'text/plain'),
      /one layer of the type/,
    ],
  ])('%s changes nothing, and is told', async (_, spoil, message) => {
    await push('stable', signedBundle(keys.private, 5, locked));
    await policy.refresh();
    await spoil();
    await policy.refresh();
    expect(policy.state).toMatchObject({ serial: 5, problem: expect.stringMatching(message) });
    expect(bundles).toHaveLength(1);
    expect(outcomes).toEqual(['taken', 'failed']);
  });

  it('is told to be missing where there is no such tag', async () => {
    const missing = new PolicyRefresh({
      settings: { ...settingsSchema.parse({}).policy, url: `oci://${registry.address}/team/none:1` },
      stateDir: state,
      onBundle: (taken) => bundles.push(taken),
      onFailure: () => undefined,
      log: { info: () => undefined, warn: () => undefined },
    });
    await missing.refresh();
    expect(missing.state.problem).toMatch(/no such tag/);
    expect(bundles).toEqual([]);
    await missing.close();
  });
});

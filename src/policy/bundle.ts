/**
 * A policy bundle: settings for many hosts in one signed document, a DSSE envelope
 * (github.com/secure-systems-lab/dsse) around
 *
 *     {"version": 1, "serial": 7, "settings": { …as in admin-settings.json… }}
 *
 * Nothing of a bundle is looked at before its signature is right.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { z } from 'zod';
import { type ParsedSettings, parseSettings } from '../settings/parse.js';

/** The type that the signature covers together with the content. */
const payloadType = 'application/vnd.cofferdam.policy+json';
/** DER of an Ed25519 SubjectPublicKeyInfo up to the key's 32 bytes (RFC 8410, section 4). */
const ed25519Prefix = Buffer.from('302a300506032b6570032100', 'hex');

const envelopeSchema = z.object({
  payloadType: z.literal(payloadType),
  payload: z.base64(),
  signatures: z
    .array(z.object({ sig: z.base64() }))
    .min(1)
    .max(16),
});

const contentSchema = z.object({
  version: z.literal(1),
  /** Grows with each issue: an older bundle is never taken after a newer one. */
  serial: z.number().int().min(0),
  settings: z.record(z.string(), z.unknown()),
});

export interface Bundle {
  readonly serial: number;
  readonly settings: ParsedSettings;
}

/** A bundle that can't be used. */
export class BundleProblem extends Error {
  readonly code = 'COFFERDAM_POLICY_INVALID';
}

/** The key of the settings as Node.js takes it. Throws a BundleProblem for one that is none. */
function readKey(base64: string): KeyObject {
  const raw = Buffer.from(base64, 'base64');
  if (raw.length !== 32) throw new BundleProblem('policy.publicKey is no Ed25519 key');
  return createPublicKey({ key: Buffer.concat([ed25519Prefix, raw]), format: 'der', type: 'spki' });
}

/** What is signed: DSSE's pre-authentication encoding. */
function signedBytes(payload: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `),
    payload,
  ]);
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new BundleProblem(`${what} is not JSON`);
  }
}

/**
 * Opens a bundle. Throws a BundleProblem, or a SettingsProblem for settings that can't be used.
 * @param publicKey the Ed25519 key of `policy.publicKey`, in base64
 */
export function openBundle(text: string, publicKey: string, origin: string): Bundle {
  const envelope = envelopeSchema.safeParse(parseJson(text, 'the bundle'));
  if (!envelope.success) throw new BundleProblem('the bundle is no DSSE envelope of a policy');
  const payload = Buffer.from(envelope.data.payload, 'base64');
  const key = readKey(publicKey);
  const signed = envelope.data.signatures.some(({ sig }) =>
    verify(null, signedBytes(payload), key, Buffer.from(sig, 'base64')),
  );
  if (!signed) throw new BundleProblem('the bundle is not signed with policy.publicKey');
  const content = contentSchema.safeParse(parseJson(payload.toString(), "the bundle's content"));
  if (!content.success) throw new BundleProblem("the bundle's content is no policy of version 1");
  const settings = parseSettings(origin, Buffer.from(JSON.stringify(content.data.settings)));
  return { serial: content.data.serial, settings };
}

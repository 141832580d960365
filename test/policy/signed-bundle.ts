/**
 * Keys and signed bundles, as an administrator's tool would make them.
 */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

const payloadType = 'application/vnd.cofferdam.policy+json';

export interface BundleKeys {
  readonly private: KeyObject;
  /** As `policy.publicKey` has it. */
  readonly public: string;
}

export function newKeys(): BundleKeys {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    private: privateKey,
    public: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64'),
  };
}

export function signedBundle(key: KeyObject, serial: number, settings: object): string {
  const payload = Buffer.from(JSON.stringify({ version: 1, serial, settings }));
  const signed = Buffer.concat([
    Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `),
    payload,
  ]);
  const sig = sign(null, signed, key).toString('base64');
  return JSON.stringify({
    payloadType,
    payload: payload.toString('base64'),
    signatures: [{ keyid: 'one', sig }],
  });
}

/** A denial of the source policy is explained in the build's error, and nothing else of the answer changes. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, test } from 'vitest';
import { explainDenials, explainStatus } from '../../../src/registry/buildkit/explanation.js';
import { settingsSchema } from '../../../src/settings/schema.js';

const settings = settingsSchema.parse({
  registryAccess: { value: true, registries: [{ address: 'good.example' }] },
  imageAccess: { value: true },
});
const denied = (source: string) =>
  `failed to solve: x: could not resolve image due to policy: source "${source}" denied by policy: source denied by policy`;

describe('the text', () => {
  test.each([
    [
      'docker-image://evil.example/a/b:1',
      'registry access to evil.example is not allowed: Access to evil.example has been restricted',
      'registryAccess.registries',
    ],
    [
      'https://evil.example/x.tar',
      'registry access to https://evil.example/x.tar is not allowed',
      'registryAccess.urls',
    ],
  ])('of %s names the place and the setting', (source, words, setting) => {
    const text = explainDenials(denied(source), settings);
    expect(text).toContain(`source "${source}" denied by policy: ${words}`);
    expect(text).toContain(`(setting ${setting})`);
    expect(text).not.toContain('source denied by policy');
    expect(explainDenials(text, settings)).toBe(text);
  });

  test.each(['no denial at all', denied('docker-image://good.example/a'), denied('docker-image://A B'), ''])(
    'stays when there is nothing to say: %s',
    (text) => {
      expect(explainDenials(text, settings)).toBe(text);
    },
  );
});

describe('the status of an answer', () => {
  const text = denied('docker-image://evil.example/a/b:1');
  const detail = Buffer.from([10, 3, 97, 98, 99]);
  const status = (message: string) =>
    Buffer.from(
      new BinaryWriter()
        .tag(1, WireType.Varint)
        .int32(7)
        .tag(2, WireType.LengthDelimited)
        .string(message)
        .tag(3, WireType.LengthDelimited)
        .bytes(detail)
        .finish(),
    );

  test('is explained in both of its forms', () => {
    const raw = ['grpc-status', '7', 'grpc-message', encodeURIComponent(text)];
    const binary = ['grpc-status-details-bin', status(text).toString('base64').replace(/=+$/, ''), 'x', 'y'];
    const { rawHeaders: explained, found } = explainStatus([...raw, ...binary], settings);
    const wanted = explainDenials(text, settings);
    expect(decodeURIComponent(explained[3] ?? '')).toBe(wanted);
    expect(Buffer.from(explained[5] ?? '', 'base64').equals(status(wanted))).toBe(true);
    expect(found.map(({ target }) => target)).toEqual(['evil.example', 'evil.example']);
    expect([...explained.slice(0, 2), ...explained.slice(6)]).toEqual(['grpc-status', '7', 'x', 'y']);
  });

  test.each([
    ['grpc-message', '%zz'],
    ['grpc-message', 'plain text, 100%'],
    ['grpc-status-details-bin', 'not base64!'],
    ['grpc-status-details-bin', Buffer.from([255, 255, 255]).toString('base64')],
    ['grpc-status-details-bin', status('other').toString('base64')],
    ['other', encodeURIComponent(text)],
  ])('stays as it came: %s %s', (name, value) => {
    expect(explainStatus([name, value], settings)).toEqual({ rawHeaders: [name, value], found: [] });
  });
});

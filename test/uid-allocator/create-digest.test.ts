import { expect, test } from 'vitest';
import { createDigest } from '../../src/uid-allocator/create-digest.js';

const sent = {
  Binds: ['/a:/b', 'data:/data'],
  Mounts: [{ Type: 'bind', Source: '/x', Target: '/y', ReadOnly: true }],
};

test('the request and what inspect shows of its container agree', () => {
  const shown = {
    ...sent,
    Binds: ['data:/data', '/a:/b'],
    Mounts: [{ Type: 'bind', Source: '/x', Target: '/y', ReadOnly: true, BindOptions: {} }],
    VolumesFrom: null,
    Privileged: false,
    Runtime: 'sysbox-runc',
    LogConfig: { Type: 'json-file', Config: {} },
  };
  expect(createDigest('busybox', shown)).toBe(createDigest('busybox', sent));
  expect(createDigest('busybox', undefined)).toBe(createDigest('busybox', { Binds: null, Mounts: [] }));
});

test.each([
  ['another image', 'alpine', sent],
  ['another bind', 'busybox', { ...sent, Binds: ['/a:/c'] }],
  ['a writable mount', 'busybox', { ...sent, Mounts: [{ Type: 'bind', Source: '/x', Target: '/y' }] }],
  ['volumes from elsewhere', 'busybox', { ...sent, VolumesFrom: ['other'] }],
])('%s has another digest', (_, image, hostConfig) => {
  expect(createDigest(image, hostConfig)).not.toBe(createDigest('busybox', sent));
});

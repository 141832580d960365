/**
 * docs/settings.md, followed: one file in which every key has another value than its default, as an administrator could
 * write it, is taken without a word.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { settingsReference } from '../../src/settings/reference.js';
import { setup as build } from '../support/build.js';

const commandList = { type: 'allow', commands: ['ps', 'image*'], mode: 'warn' };
const written = {
  configurationFileVersion: 1,
  enhancedContainerIsolation: {
    value: false,
    locked: true,
    warn: ['host-resources'],
    warnAtRiskOfRoot: ['log-drivers', 'subnets'],
    dockerSocketMount: {
      imageList: { images: ['docker.io/library/docker:*'], allowDerivedImages: false },
      commandList,
      perImage: [{ image: 'docker.io/library/docker:cli', commandList }],
    },
  },
  existingContainers: 'refuse',
  uidRanges: { locked: true, first: 200_000, last: 1_000_000 },
  hostFiles: {
    locked: true,
    rootCallers: 'identity',
    allow: ['/run/udev'],
    deny: ['/srv/secret'],
    groups: ['users'],
    sharingMode: 'warn',
  },
  filesharingAllowedDirectories: [{ path: '$HOME', sharedByDefault: false }],
  portBindingBehavior: { value: 'local-only-port-binding', locked: true, mode: 'warn' },
  volumes: { locked: true, types: ['tmpfs', 'nfs'] },
  deviceRequests: { locked: true, allow: ['nvidia.com/gpu=all'] },
  registryAccess: {
    value: true,
    locked: true,
    mode: 'warn',
    registries: [
      { address: '*.example.com', repositories: ['team/**'], allow: ['pull'], description: 'ours' },
    ],
    localImages: true,
    urls: ['https://git.example.com/**'],
    egress: true,
    egressPort: 3130,
  },
  imageAccess: { value: true, locked: true, mode: 'warn', allow: ['organizations:acme'] },
  blockDockerLoad: { value: true, locked: true, mode: 'warn' },
  audit: { maximumFileMegabytes: 32, keepFiles: 8, journal: true },
  policy: {
    url: 'https://policy.example.com/docker.json',
    publicKey: `${'A'.repeat(43)}=`,
    authorityFile: '/etc/ssl/private-authority.pem',
    refreshMinutes: 30,
    graceHours: 24,
  },
  metrics: { listen: '127.0.0.1:9477' },
  shutdown: { drainSeconds: 10 },
};

/** The keys of a value as the reference names them, each with what is written there. */
function keysIn(value: unknown, key = ''): (readonly [string, unknown])[] {
  if (Array.isArray(value) && typeof value[0] === 'object')
    return [[key, value], ...keysIn(value[0], `${key}[]`)];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[key, value]];
  return Object.entries(value).flatMap(([name, part]) => keysIn(part, key === '' ? name : `${key}.${name}`));
}

const program = fileURLToPath(new URL('../../bin/cofferdam', import.meta.url));
const folder = mkdtempSync('/var/tmp/cofferdam-every-key-');
beforeAll(build);
afterAll(() => rmSync(folder, { recursive: true }));

it('sets every key of the reference to another value than its default', () => {
  const defaults = new Map(
    [...settingsReference().matchAll(/^\| `([^`]+)` \| .*? \| (?:`([^`]*)`)? \| /gm)].map(
      ([, key, value]) => [key, value],
    ),
  );
  const set = keysIn(written);
  expect(set.map(([key]) => key).sort()).toEqual([...defaults.keys()].sort());
  expect(set.filter(([key, value]) => JSON.stringify(value) === defaults.get(key))).toEqual([]);
});

it('is a file that `cofferdam check` takes, without a warning', () => {
  const file = join(folder, 'admin-settings.json');
  writeFileSync(file, JSON.stringify(written), { mode: 0o644 });
  const output = execFileSync(process.execPath, [program, 'check', '--json', file], { encoding: 'utf8' });
  expect(JSON.parse(output)).toMatchObject({ valid: true, warnings: [], ignored: [], settings: written });
});

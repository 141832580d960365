import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Bundle } from '../../src/policy/bundle.js';
import { PolicyRefresh } from '../../src/policy/refresh.js';
import { composeSettings } from '../../src/settings/compose.js';
import { defaultSettings, settingsSchema } from '../../src/settings/schema.js';
import { type BundleKeys, newKeys, signedBundle } from './signed-bundle.js';

const folder = mkdtempSync('/var/tmp/cofferdam-policy-');
const authorityFile = join(folder, 'certificate.pem');
let server: Server;
let url: string;
let state: string;
let keys: BundleKeys;
/** What the server answers with. */
let answer: { status: number; body: string; etag?: string };
let asked: (string | undefined)[];
let bundles: Bundle[];
let failures: string[];
let policy: PolicyRefresh | undefined;

/** A signed bundle, as an administrator's tool would write it. */
function bundle(serial: number, settings: object, key = keys.private): string {
  return signedBundle(key, serial, settings);
}

function follow(): PolicyRefresh {
  policy = new PolicyRefresh({
    settings: settingsSchema.parse({
      policy: { url, publicKey: keys.public, authorityFile, refreshMinutes: 1440 },
    }).policy,
    stateDir: state,
    onBundle: (taken) => bundles.push(taken),
    onFailure: (problem) => failures.push(problem),
    log: { info: () => {}, warn: () => {} } as never,
    firstRetry: 10,
  });
  return policy;
}

beforeAll(async () => {
  const key = join(folder, 'key.pem');
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      authorityFile,
      ...subject,
    ],
    { stdio: 'ignore' },
  );
  server = createServer(
    { key: readFileSync(key), cert: readFileSync(authorityFile) },
    (request, response) => {
      asked.push(request.headers['if-none-match']);
      response.writeHead(answer.status, answer.etag === undefined ? {} : { ETag: answer.etag });
      response.end(answer.body);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `https://localhost:${(server.address() as AddressInfo).port}/policy`;
});
beforeEach(() => {
  keys = newKeys();
  state = mkdtempSync(join(folder, 'state-'));
  asked = [];
  bundles = [];
  failures = [];
});
afterEach(() => policy?.close());
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const locked = { enhancedContainerIsolation: { value: true, locked: true } };

describe('a refresh', () => {
  it('takes a signed bundle, and keeps it for the next start', async () => {
    answer = { status: 200, body: bundle(7, locked), etag: '"a"' };
    await follow().refresh();
    expect(bundles.map(({ serial }) => serial)).toEqual([7]);
    expect(policy?.state).toMatchObject({ serial: 7, overdue: false });
    await policy?.close();

    answer = { status: 500, body: '' };
    follow();
    expect(bundles.map(({ serial }) => serial)).toEqual([7, 7]);
    expect(bundles.at(-1)?.settings.settings.enhancedContainerIsolation.locked).toBe(true);
  });

  it('asks only whether it changed, and counts that as fresh', async () => {
    answer = { status: 200, body: bundle(1, locked), etag: '"a"' };
    await follow().refresh();
    answer = { status: 304, body: '' };
    await policy?.refresh();
    expect(asked).toEqual([undefined, '"a"']);
    expect(bundles).toHaveLength(1);
    expect(failures).toEqual([]);
  });

  it('is overdue when the server has not confirmed it for the hours of grace', async () => {
    answer = { status: 200, body: bundle(7, locked) };
    await follow().refresh();
    const now = Date.now();
    const clock = vi.spyOn(Date, 'now');
    const overdueAfter = (hours: number) => {
      clock.mockReturnValue(now + hours * 3_600_000);
      return policy?.state.overdue;
    };
    expect([11.9, 12.1].map(overdueAfter)).toEqual([false, true]);
    clock.mockRestore();
  });

  it('tries again after a failure, waiting longer each time', async () => {
    answer = { status: 503, body: '' };
    await follow().refresh();
    while (asked.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    answer = { status: 200, body: bundle(1, locked) };
    while (bundles.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(policy?.state.problem).toBeUndefined();
    expect(failures.length).toBeGreaterThanOrEqual(3);
  });
});

describe('a refresh that fails changes nothing, and is told', () => {
  it.each([
    [
      'of another key',
      () => bundle(8, { enhancedContainerIsolation: { value: false } }, newKeys().private),
      /not signed/,
    ],
    [
      'that was changed',
      () =>
        bundle(8, locked).replace(/"payload":"(.)/, (_, first) => `"payload":"${first === 'e' ? 'f' : 'e'}`),
      /not signed/,
    ],
    [
      'without a signature',
      () => bundle(8, locked).replace(/"signatures":.*/, '"signatures":[]}'),
      /no DSSE envelope/,
    ],
    ['that is older', () => bundle(6, {}), /older \(6\) than the one in force \(7\)/],
    [
      'with wrong settings',
      () => bundle(8, { existingContainers: 'perhaps' }),
      /existingContainers: must be one of/,
    ],
    ['that is no JSON', () => '<html>', /is not JSON/],
    ['that is too large', () => ' '.repeat(2 * 1024 * 1024), /larger than/],
  ])('%s', async (_, body, message) => {
    answer = { status: 200, body: bundle(7, locked) };
    await follow().refresh();
    answer = { status: 200, body: body() };
    await policy?.refresh();
    expect(failures[0]).toMatch(message);
    expect(bundles.map(({ serial }) => serial)).toEqual([7]);
    expect(policy?.state).toMatchObject({ serial: 7, problem: expect.stringMatching(message) });
  });

  it('from a server whose certificate is not trusted', async () => {
    answer = { status: 200, body: bundle(7, locked) };
    policy = new PolicyRefresh({
      settings: settingsSchema.parse({ policy: { url, publicKey: keys.public } }).policy,
      stateDir: state,
      onBundle: (taken) => bundles.push(taken),
      onFailure: (problem) => failures.push(problem),
      log: { info: () => {}, warn: () => {} } as never,
    });
    await policy.refresh();
    expect(failures[0]).toMatch(/certificate/);
    expect(bundles).toEqual([]);
  });

  it('from a kept file that somebody changed', async () => {
    answer = { status: 200, body: bundle(7, locked) };
    await follow().refresh();
    await policy?.close();
    const file = join(state, 'policy.json');
    const kept = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...kept, text: bundle(9, {}, newKeys().private) }));
    bundles = [];
    follow();
    expect(bundles).toEqual([]);
  });
});

describe('precedence', () => {
  const source = (written: object) => ({ settings: settingsSchema.parse(written), written: { ...written } });

  it('is: a local lock, the bundle, the local value, the user', () => {
    const local = settingsSchema.parse({
      enhancedContainerIsolation: { value: true, locked: false },
      blockDockerLoad: { value: false, locked: true },
      hostFiles: { rootCallers: 'identity' },
    });
    const taken = composeSettings(
      local,
      { value: false, uid: 1000, at: 1 },
      source({ ...locked, blockDockerLoad: { value: true }, existingContainers: 'refuse' }),
    );
    expect(taken.enhancedContainerIsolation).toMatchObject({ value: true, locked: true });
    expect(taken.blockDockerLoad.value).toBe(false);
    expect(taken.existingContainers).toBe('refuse');
    expect(taken.hostFiles.rootCallers).toBe('identity');
  });

  const lockable = Object.entries(defaultSettings).flatMap(([name, section]) =>
    typeof section === 'object' && 'locked' in section ? [name] : [],
  );
  it.each(lockable)('%s.locked keeps a bundle from the whole section', (name) => {
    const bundle = source({ [name]: { locked: false } });
    const local = (locked: boolean) =>
      composeSettings(settingsSchema.parse({ [name]: { locked } }), undefined, bundle);
    expect(Reflect.get(local(true), name)).toMatchObject({ locked: true });
    expect(
      Reflect.get(
        composeSettings(settingsSchema.parse({}), undefined, source({ [name]: { locked: true } })),
        name,
      ),
    ).toMatchObject({ locked: true });
  });

  it('covers existingContainers by the lock of isolation', () => {
    const local = settingsSchema.parse({ ...locked, existingContainers: 'refuse' });
    expect(
      composeSettings(local, undefined, source({ existingContainers: 'allow' })).existingContainers,
    ).toBe('refuse');
  });

  it('leaves what is about this host alone', () => {
    const other = source({
      policy: { url: 'https://evil.example/', publicKey: `${'A'.repeat(43)}=` },
      audit: { keepFiles: 1 },
    });
    expect(composeSettings(defaultSettings, undefined, other)).toEqual(defaultSettings);
  });

  it('is the user last: a choice counts where neither locks', () => {
    const choice = { value: false, uid: 1000, at: 1 };
    const open = source({ enhancedContainerIsolation: { value: true, locked: false } });
    expect(composeSettings(defaultSettings, choice, open).enhancedContainerIsolation.value).toBe(false);
    expect(composeSettings(defaultSettings, choice, source(locked)).enhancedContainerIsolation.value).toBe(
      true,
    );
  });
});

it('needs a key with an address', () => {
  expect(settingsSchema.safeParse({ policy: { url: 'https://x.example/' } }).success).toBe(false);
});

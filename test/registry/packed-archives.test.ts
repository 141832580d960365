/** Contexts packed with bzip2, xz and zstd: what the engine gets is the unpacked archive, and only what was judged. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { classicBuildJudge } from '../../src/registry/classic-build.js';
import { loadedImageJudgeFor } from '../../src/registry/loaded-image.js';
import type { StreamJudge } from '../../src/registry/stream-judge.js';
import { settingsSchema } from '../../src/settings/schema.js';
import { tarArchive } from './tar-archives.js';

const settings = settingsSchema.parse({
  registryAccess: { value: true, registries: [{ address: 'good.example' }] },
  enhancedContainerIsolation: { dockerSocketMount: { imageList: { images: ['good.example/trusted:1'] } } },
});
const judges: StreamJudge[] = [];

afterEach(() => {
  for (const judge of judges.splice(0)) judge.close();
});

function buildJudge(): StreamJudge {
  const judge = classicBuildJudge({
    settings,
    dockerfile: '',
    buildArguments: new Map(),
    pull: false,
    platform: '',
    localImage: async () => undefined,
  });
  judges.push(judge);
  return judge;
}

function pack(program: string, content: Buffer): Buffer {
  return execFileSync(program, ['-c'], { input: content, maxBuffer: 1 << 26 });
}

/** Streams a body through a judge: what is refused, and what the engine would have got. */
async function stream(judge: StreamJudge, body: Buffer, chunk = 4096) {
  const sent: Buffer[] = [];
  judge.replaceWith?.(async (piece) => void sent.push(Buffer.from(piece)));
  for (let start = 0; start < body.length; start += chunk) {
    const part = body.subarray(start, start + chunk);
    const refused = await judge.chunk(part);
    if (refused !== undefined) return { text: refused.text, sent: Buffer.concat(sent) };
    if (judge.replaces !== true) sent.push(part);
  }
  return { text: (await judge.end())?.text, sent: Buffer.concat(sent) };
}

const filling = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 251));
const allowed = tarArchive(
  { name: 'first', content: filling },
  { name: 'Dockerfile', content: 'FROM scratch\nCOPY . /' },
  { name: 'last', content: filling },
);
const refused = tarArchive(
  { name: 'first', content: filling },
  { name: 'Dockerfile', content: 'FROM evil.example/x' },
  { name: 'last', content: filling },
);

describe.each(['bzip2', 'xz', 'zstd'])('a context packed with %s', (program) => {
  test('goes on unpacked, byte for byte', async () => {
    for (const chunk of [4096, 1 << 20]) {
      const { text, sent } = await stream(buildJudge(), pack(program, allowed), chunk);
      expect(text).toBeUndefined();
      expect(sent.equals(allowed)).toBe(true);
    }
  });

  test('is refused before its Dockerfile goes on', async () => {
    for (const chunk of [4096, 1 << 20]) {
      const { text, sent } = await stream(buildJudge(), pack(program, refused), chunk);
      expect(text).toContain('registry access to evil.example is not allowed');
      expect(refused.subarray(0, sent.length).equals(sent)).toBe(true);
      expect(sent.includes('evil.example')).toBe(false);
    }
  });

  test('that ends early, is damaged, or has another one behind it', async () => {
    const body = pack(program, allowed);
    expect((await stream(buildJudge(), body.subarray(0, -20))).text).toContain("can't be unpacked");
    const damaged = Buffer.from(body);
    damaged.fill(0xff, body.length >> 1, (body.length >> 1) + 64);
    expect((await stream(buildJudge(), damaged)).text).toContain("can't be known for sure");
    const twice = await stream(buildJudge(), Buffer.concat([pack(program, allowed), pack(program, refused)]));
    expect(twice.sent.subarray(0, allowed.length).equals(allowed)).toBe(true);
  });

  test('without a Dockerfile', async () => {
    const { text } = await stream(buildJudge(), pack(program, tarArchive({ name: 'file', content: 'x' })));
    expect(text).toContain('no such Dockerfile');
  });

  test('an archive to load is read as well', async () => {
    const manifest = [{ Config: 'c.json', RepoTags: ['good.example/trusted:1'], Layers: [] }];
    const archive = tarArchive({ name: 'manifest.json', content: JSON.stringify(manifest) });
    const judge = loadedImageJudgeFor(settings);
    if (judge === undefined) throw new Error('no judge');
    judges.push(judge);
    const { text } = await stream(judge, pack(program, archive));
    expect(text).toContain('good.example/trusted:1');
  });
});

test('a host without the program refuses what it can’t read', async () => {
  const body = pack('xz', allowed);
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  try {
    expect((await stream(buildJudge(), body)).text).toContain('this host has no xz');
  } finally {
    process.env['PATH'] = path;
  }
});

test('half a gigabyte of zeros in a few kilobytes: neither memory nor the engine is flooded', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cofferdam-packed-'));
  try {
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY . /');
    writeFileSync(join(folder, 'zeros'), '');
    truncateSync(join(folder, 'zeros'), 512 << 20);
    const line = `tar -C ${folder} -cf - Dockerfile zeros | zstd -q > ${folder}/packed`;
    expect(spawnSync('sh', ['-c', line]).status).toBe(0);
    const judge = buildJudge();
    let size = 0;
    let most = 0;
    const before = process.memoryUsage().rss;
    judge.replaceWith?.(async (piece) => {
      size += piece.length;
      most = Math.max(most, process.memoryUsage().rss - before);
      await new Promise((resolve) => setImmediate(resolve));
    });
    expect(await judge.chunk(readFileSync(join(folder, 'packed')))).toBeUndefined();
    expect(await judge.end()).toBeUndefined();
    expect(size).toBeGreaterThan(512 << 20);
    expect(most).toBeLessThan(128 << 20);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

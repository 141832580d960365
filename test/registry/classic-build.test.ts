import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type ClassicBuildContext, classicBuildJudge } from '../../src/registry/classic-build.js';
import { settingsSchema } from '../../src/settings/schema.js';
import { tarArchive, tarEntry } from './tar-archives.js';

const settings = settingsSchema.parse({
  registryAccess: {
    value: true,
    localImages: true,
    registries: [{ address: 'good.example' }],
    urls: ['https://good.example/**'],
  },
});

function context(over: Partial<ClassicBuildContext> = {}): ClassicBuildContext {
  const local: Readonly<Record<string, readonly string[]>> = {
    'good.example/base': [],
    'good.example/trigger': ['COPY --from=evil.io/x / /'],
    'evil.io/local': [],
  };
  return {
    settings,
    dockerfile: '',
    buildArguments: new Map(),
    pull: false,
    platform: '',
    localImage: async (name) => (local[name] === undefined ? undefined : { onBuild: local[name] }),
    ...over,
  };
}

/** Streams the body in chunks, and tells the refusal and how many bytes would have gone on. */
async function judge(body: Buffer, over: Partial<ClassicBuildContext> = {}, chunk = 4096) {
  const judged = classicBuildJudge(context(over));
  try {
    let passed = 0;
    for (let start = 0; start < body.length; start += chunk) {
      const piece = body.subarray(start, start + chunk);
      const refused = await judged.chunk(piece);
      if (refused !== undefined) return { text: refused.text, passed };
      passed += piece.length;
    }
    return { text: (await judged.end())?.text, passed };
  } finally {
    judged.close();
  }
}

const dockerfile = (content: string, name = 'Dockerfile') => tarArchive({ name, content });

describe('a build that may go on', () => {
  test.each<[string, Buffer, Partial<ClassicBuildContext>]>([
    ['a listed base that is here', dockerfile('FROM good.example/base'), {}],
    ['nothing but scratch', dockerfile('FROM scratch\nCOPY . /'), {}],
    ['a local image of a registry that is not listed', dockerfile('FROM evil.io/local'), {}],
    ['a listed image to copy from', dockerfile('FROM scratch\nCOPY --from=good.example/tool / /'), {}],
    [
      'a Dockerfile by another name',
      dockerfile('FROM scratch', 'a/b.Dockerfile'),
      { dockerfile: './a/b.Dockerfile' },
    ],
    ['a Dockerfile in lower case', dockerfile('FROM scratch', './dockerfile'), {}],
    ['a listed address', dockerfile('FROM scratch\nADD https://good.example/x /'), {}],
    ['gzip', gzipSync(dockerfile('FROM scratch')), {}],
    ['an empty body, which the engine refuses itself', Buffer.alloc(0), {}],
  ])('%s', async (_title, body, over) => {
    for (const chunk of [1, 7, 511, 4096]) {
      expect(await judge(body, over, chunk)).toEqual({ text: undefined, passed: body.length });
    }
  });
});

describe('a build that is refused', () => {
  const base = { name: 'Dockerfile', content: 'FROM scratch' };
  test.each<[string, Buffer, string, Partial<ClassicBuildContext>?]>([
    ['a base that is not listed', dockerfile('FROM evil.io/x'), 'registry access to evil.io'],
    ['an image to copy from', dockerfile('FROM scratch\nCOPY --from=evil.io/x / /'), 'evil.io'],
    ['packed by gzip', gzipSync(dockerfile('FROM evil.io/x')), 'evil.io'],
    [
      'by a build argument',
      dockerfile('ARG B=scratch\nFROM $B'),
      'evil.io',
      { buildArguments: new Map([['B', 'evil.io/x']]) },
    ],
    ['by a trigger of the base', dockerfile('FROM good.example/trigger'), 'evil.io'],
    [
      'a base whose triggers are unknown',
      dockerfile('FROM good.example/other'),
      'docker pull good.example/other',
    ],
    ['a local image that would be pulled anew', dockerfile('FROM evil.io/local'), 'evil.io', { pull: true }],
    ['a local image of another platform', dockerfile('FROM --platform=linux/arm64 evil.io/local'), 'evil.io'],
    [
      'a local image while the build names a platform',
      dockerfile('FROM evil.io/local'),
      'evil.io',
      { platform: 'linux/arm64' },
    ],
    ['an id that is not here', dockerfile(`FROM ${'a'.repeat(64)}`), 'is no image'],
    [
      'an address that is not listed',
      dockerfile('FROM scratch\nADD http://169.254.169.254/ /'),
      '169.254.169.254',
    ],
    ['no Dockerfile', tarArchive({ name: 'other', content: 'x' }), 'no such Dockerfile'],
    [
      'two Dockerfiles, the second one bad',
      tarArchive(base, { name: './Dockerfile', content: 'FROM evil.io/x' }),
      'evil.io',
    ],
    [
      'a Dockerfile that is a link',
      tarArchive({ name: 'Dockerfile', type: '2', linkName: 'x' }),
      'no plain file',
    ],
    [
      'a Dockerfile that is a hard link',
      tarArchive({ name: 'x', content: 'FROM evil.io/x' }, { name: 'Dockerfile', type: '1', linkName: 'x' }),
      'no plain file',
    ],
    [
      'a folder that becomes a link',
      tarArchive({ name: 'a', type: '2', linkName: 'b' }),
      'no plain file',
      { dockerfile: 'a/Dockerfile' },
    ],
    [
      'a file behind a link to its folder',
      tarArchive(
        base,
        { name: 'd', type: '2', linkName: '.' },
        { name: 'd/Dockerfile', content: 'FROM evil.io/x' },
      ),
      'behind a symbolic link',
    ],
    ['an entry that climbs', tarArchive(base, { name: '../Dockerfile', content: 'x' }), 'climbs out'],
    ['bzip2', Buffer.from('BZh91AY&SY\0\0\0'), 'bzip2'],
    ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0, 0, 0]), 'xz'],
    ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0, 0]), 'zstd'],
    ['no archive', Buffer.alloc(1024, 0x41), 'octal'],
  ])('%s', async (_title, body, words, over = {}) => {
    for (const chunk of [3, 512, 1 << 20]) expect((await judge(body, over, chunk)).text).toContain(words);
  });

  test('before the engine has the end of the archive', async () => {
    const filler = tarEntry({ name: 'filler', content: Buffer.alloc(100_000) });
    const body = tarArchive(filler, { name: 'Dockerfile', content: 'FROM evil.io/x' });
    const { passed } = await judge(body, {}, 1024);
    expect(passed).toBeGreaterThan(100_000);
    expect(passed).toBeLessThan(body.length - 1024);
  });

  test('a Dockerfile path out of the context', () => {
    expect(() => classicBuildJudge(context({ dockerfile: '../Dockerfile' }))).toThrow(
      'outside of the context',
    );
  });
});

test('nothing of a large context is kept', async () => {
  const judged = classicBuildJudge(context());
  await judged.chunk(tarEntry({ name: 'Dockerfile', content: 'FROM scratch' }));
  const gigabytes = 2 * 1024 ** 3;
  const header = tarEntry({ name: 'large', size: `${gigabytes.toString(8).padStart(11, '0')}\0` });
  await judged.chunk(header);
  const piece = Buffer.alloc(1 << 20);
  for (let sent = 0; sent < gigabytes; sent += piece.length) await judged.chunk(piece);
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  expect(await judged.chunk(Buffer.alloc(1024))).toBeUndefined();
  expect(arrayBuffers + heapUsed).toBeLessThan(300e6);
  judged.close();
});

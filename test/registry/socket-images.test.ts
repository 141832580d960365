import { describe, expect, test } from 'vitest';
import { formatReference, parseReference } from '../../src/registry/reference.js';
import { SocketImageList } from '../../src/registry/socket-image-list.js';
import { type SocketImageSources, SocketImages, type StoredImage } from '../../src/registry/socket-images.js';
import { settingsSchema } from '../../src/settings/schema.js';

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;

interface World {
  /** What registries serve: reference → digest, or the index's digest with its children. */
  readonly served?: Readonly<Record<string, string | readonly [string, ...string[]]>>;
  readonly stored?: Readonly<Record<string, StoredImage>>;
  readonly problem?: string;
}

function judge(
  image: Partial<StoredImage>,
  images: readonly string[],
  world: World = {},
  allowDerivedImages = true,
  perImage: readonly { readonly image: string }[] = [],
) {
  const sources: SocketImageSources = {
    lookUp: async (reference) => {
      const found = world.served?.[formatReference(reference)];
      if (found === undefined)
        return world.problem === undefined ? { manifest: undefined, checkedAt: 0 } : undefined;
      const [first = '', ...manifests] = typeof found === 'string' ? [found] : found;
      return {
        manifest: { digest: first, manifests },
        checkedAt: 0,
        ...(world.problem === undefined ? {} : { problem: world.problem }),
      };
    },
    images: async () =>
      Object.entries(world.stored ?? {}).map(([name, { id, repoDigests }]) => ({
        id,
        repoDigests,
        repoTags: [name],
      })),
    layers: async (id) => Object.values(world.stored ?? {}).find((one) => one.id === id)?.layers,
  };
  const settings = settingsSchema.parse({
    enhancedContainerIsolation: {
      dockerSocketMount: { imageList: { images, allowDerivedImages }, perImage },
    },
  });
  const stored = { id: digest('9'), repoDigests: [], layers: [], ...image };
  return new SocketImages(sources).judge(stored, settings);
}

const own = { repoDigests: [`registry.example/ci/x@${digest('a')}`] };

describe('an entry with a tag', () => {
  test.each<[string, readonly string[], World, boolean]>([
    [
      'the registry serves this digest',
      ['registry.example/ci/x:1'],
      { served: { 'registry.example/ci/x:1': digest('a') } },
      true,
    ],
    [
      'the registry serves another one',
      ['registry.example/ci/x:1'],
      { served: { 'registry.example/ci/x:1': digest('b') } },
      false,
    ],
    [
      'the registry serves an index with it',
      ['registry.example/ci/x:1'],
      { served: { 'registry.example/ci/x:1': [digest('i'), digest('a')] } },
      true,
    ],
    [
      'no tag is latest',
      ['registry.example/ci/x'],
      { served: { 'registry.example/ci/x:latest': digest('a') } },
      true,
    ],
    [
      'no tag is not any tag',
      ['registry.example/ci/x'],
      { served: { 'registry.example/ci/x:1': digest('a') } },
      false,
    ],
    ['the registry has none', ['registry.example/ci/x:1'], {}, false],
    [
      'another name',
      ['registry.example/ci/y:1'],
      { served: { 'registry.example/ci/y:1': digest('a') } },
      false,
    ],
  ])('%s', async (_title, images, world, allowed) => {
    expect((await judge(own, images, world)).allowed).toBe(allowed);
  });

  test('a name without a digest in the store is only a tag', async () => {
    const world = { served: { 'registry.example/ci/x:1': digest('9') } };
    expect((await judge({}, ['registry.example/ci/x:1'], world)).allowed).toBe(false);
  });

  test('the last known digest counts, with a warning', async () => {
    const world = { served: { 'registry.example/ci/x:1': digest('a') }, problem: 'no route' };
    expect(await judge(own, ['registry.example/ci/x:1'], world)).toMatchObject({
      allowed: true,
      warning: expect.stringContaining("can't be reached"),
    });
    expect(await judge(own, ['registry.example/ci/x:1'], { problem: 'no route' })).toMatchObject({
      allowed: false,
      warning: expect.stringContaining("isn't known"),
    });
  });
});

describe('other entries', () => {
  const served = { [`registry.example/ci/x@${digest('a')}`]: digest('a') };
  test.each<[string, string, World, boolean]>([
    ['any image', '*', {}, true],
    ['any tag', 'registry.example/ci/x:*', { served }, true],
    ['any tag, of a digest that only the store knows', 'registry.example/ci/x:*', {}, false],
    ['a glob', 'registry.example/ci/**', { served }, true],
    ['a glob with any tag', 'registry.example/*/x:*', { served }, true],
    ['a glob of another registry', 'other.example/ci/**', { served }, false],
    ['a glob is not across hosts', '**/x', { served }, false],
    ['a glob on Docker Hub', 'ci/*', { served }, false],
    ['a digest', `registry.example/ci/x@${digest('a')}`, {}, true],
    ['a digest of another name', `registry.example/ci/y@${digest('a')}`, {}, false],
    ['another digest', `registry.example/ci/x@${digest('b')}`, {}, false],
    ['the id of a local image', digest('9'), {}, true],
    ['the id under a name', `localhost/builder@${digest('9')}`, {}, true],
    ['nothing that can be read', 'HTTPS://x', {}, false],
    ['an empty entry’s look-alike', ':*', {}, false],
  ])('%s', async (_title, entry, world, allowed) => {
    expect((await judge(own, [entry], world)).allowed).toBe(allowed);
  });

  test('an empty list allows nothing', async () => {
    expect((await judge(own, [])).allowed).toBe(false);
  });
});

describe('images made on an allowed one', () => {
  const parent = {
    id: digest('7'),
    repoDigests: [`registry.example/ci/x@${digest('a')}`],
    layers: ['l1', 'l2'],
  };
  const world: World = {
    served: { 'registry.example/ci/x:1': digest('a') },
    stored: { 'registry.example/ci/x:1': parent },
  };
  const images = ['registry.example/ci/x:1'];

  test.each<[string, readonly string[], boolean]>([
    ['all its layers and more', ['l1', 'l2', 'l3'], true],
    ['its layers alone, with another configuration', ['l1', 'l2'], true],
    ['some of its layers', ['l1', 'l3'], false],
    ['its layers in another order', ['l2', 'l1'], false],
    ['its layers on top of another one', ['l0', 'l1', 'l2'], false],
    ['no layers at all', [], false],
  ])('%s', async (_title, layers, allowed) => {
    expect((await judge({ layers }, images, world)).allowed).toBe(allowed);
  });

  test('says on which', async () => {
    expect(await judge({ layers: ['l1', 'l2', 'l3'] }, images, world)).toEqual({
      allowed: true,
      entry: 'registry.example/ci/x:1',
      derivedFrom: 'registry.example/ci/x:1',
    });
  });

  test('not when it was pulled or pushed: only that gives a digest other than the id', async () => {
    const image = { layers: ['l1', 'l2', 'l3'], repoDigests: [`other.example/x@${digest('e')}`] };
    // Whatever its registry says of it now.
    expect((await judge(image, images, world)).allowed).toBe(false);
    expect((await judge(image, images, { ...world, problem: 'no route' })).allowed).toBe(false);
  });

  test('not when a registry has it: then it is an image of its own, and no local one', async () => {
    // The containerd store knows local images by a digest as well, which is their id.
    const id = digest('e');
    const image = { id, layers: ['l1', 'l2', 'l3'], repoDigests: [`other.example/x@${id}`] };
    expect((await judge(image, images, world)).allowed).toBe(true);
    const published = {
      ...world,
      served: { ...world.served, [`other.example/x@${digest('e')}`]: digest('e') },
    };
    expect((await judge(image, images, published)).allowed).toBe(false);
  });

  test('not where the settings forbid it, nor on a substitute of the parent', async () => {
    expect((await judge({ layers: ['l1', 'l2', 'l3'] }, images, world, false)).allowed).toBe(false);
    const substituted = { ...world, stored: { 'registry.example/ci/x:1': { ...parent, repoDigests: [] } } };
    expect((await judge({ layers: ['l1', 'l2', 'l3'] }, images, substituted)).allowed).toBe(false);
  });
});

describe('the command list of an image', () => {
  const served = {
    'registry.example/ci/x:1': digest('a'),
    [`registry.example/ci/x@${digest('a')}`]: digest('a'),
  };
  const lists = (...entries: string[]) => entries.map((image) => ({ image }));

  test.each<[string, readonly string[], readonly string[], string | undefined]>([
    [
      'the listed entry itself',
      ['registry.example/ci/x:1'],
      ['registry.example/ci/x:1'],
      'registry.example/ci/x:1',
    ],
    [
      'a narrower one than a glob',
      ['registry.example/**'],
      ['registry.example/ci/x:1'],
      'registry.example/ci/x:1',
    ],
    ['one beside any image', ['*'], ['registry.example/ci/x:*'], 'registry.example/ci/x:*'],
    [
      'the first one of two',
      ['*'],
      ['registry.example/**', 'registry.example/ci/x:1'],
      'registry.example/**',
    ],
    ['another name', ['*'], ['registry.example/ci/y:*'], undefined],
    ['another digest than the registry’s', ['*'], ['registry.example/ci/x:2'], undefined],
  ])('%s', async (_title, images, perImage, commandEntry) => {
    const verdict = await judge(own, images, { served }, true, lists(...perImage));
    expect(verdict).toMatchObject({ allowed: true });
    expect('commandEntry' in verdict ? verdict.commandEntry : undefined).toBe(commandEntry);
  });

  test('that of the image that it was built on, where it has none', async () => {
    const parent = { id: digest('7'), repoDigests: own.repoDigests, layers: ['l1'] };
    const world = { served, stored: { 'registry.example/ci/x:1': parent } };
    const derived = { layers: ['l1', 'l2'] };
    const images = ['registry.example/ci/x:1'];
    expect(await judge(derived, images, world, true, lists(images[0] ?? ''))).toMatchObject({
      commandEntry: images[0],
    });
    const both = lists(images[0] ?? '', digest('9'));
    expect(await judge(derived, images, world, true, both)).toMatchObject({ commandEntry: digest('9') });
  });

  test('gives no image the socket', async () => {
    expect((await judge(own, [], { served }, true, lists('*'))).allowed).toBe(false);
  });
});

describe('long lists', () => {
  const count = 10_000;
  const kinds: readonly (readonly [string, (index: number) => string])[] = [
    ['tags', (index) => `registry.example/ci/x${index}:1`],
    ['any tags', (index) => `registry.example/ci/x${index}:*`],
    ['globs', (index) => `registry.example/ci/x${index}/**`],
    ['globs that begin with a wildcard', (index) => `*.example/ci/x${index}`],
    ['digests', (index) => `registry.example/ci/x@sha256:${String(index).padStart(64, '0')}`],
  ];

  test.each(kinds)(
    'of %s: the one that is meant is found, among as many looks as in a short list',
    async (_title, entry) => {
      const images = Array.from({ length: count }, (_, index) => entry(index));
      expect((await judge(own, images)).allowed).toBe(false);
      const among = [
        ...images.slice(0, count / 2),
        `registry.example/ci/x@${digest('a')}`,
        ...images.slice(count / 2),
      ];
      expect(await judge(own, among)).toMatchObject({ allowed: true, entry: among[count / 2] });
      const list = new SocketImageList(among);
      const marks = { id: digest('9'), digests: [{ name: 'registry.example/ci/x', digest: digest('a') }] };
      expect(list.entriesFor(marks).map(({ text }) => text)).toEqual([among[count / 2]]);
    },
  );

  test('the first entry that allows an image is the one that counts', async () => {
    const served = { [`registry.example/ci/x@${digest('a')}`]: digest('a') };
    const twice = ['registry.example/**', 'registry.example/ci/x:*', digest('9')];
    expect(await judge(own, twice, { served })).toMatchObject({ entry: twice[0] });
    expect(await judge(own, twice)).toMatchObject({ entry: twice[2] });
  });
});

test('the reference of an entry is read as the engine reads it', () => {
  expect(formatReference(parseReference('docker:cli'))).toBe('docker.io/library/docker:cli');
});

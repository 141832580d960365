import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { loadedImageJudgeFor } from '../../src/registry/loaded-image.js';
import { settingsSchema } from '../../src/settings/schema.js';
import { tarArchive, tarEntrySchema } from '../attacks/tar.js';

const settings = settingsSchema.parse({
  enhancedContainerIsolation: {
    dockerSocketMount: { imageList: { images: ['portainer/portainer-ce', 'testcontainers/*:*'] } },
  },
});

/** The words of the refusal, or `undefined` when the archive may pass. */
async function judge(bytes: Buffer, piece = bytes.length): Promise<string | undefined> {
  const judging = loadedImageJudgeFor(settings);
  if (judging === undefined) throw new Error('there is something to judge');
  try {
    for (let from = 0; from < bytes.length; from += piece) {
      const refusal = await judging.chunk(bytes.subarray(from, from + piece));
      if (refusal !== undefined) return refusal.text;
    }
    return (await judging.end())?.text;
  } finally {
    judging.close();
  }
}

const archive = (...entries: object[]): Buffer =>
  tarArchive(entries.map((entry) => tarEntrySchema.parse(entry)));
const manifest = (tag: string) => ({
  name: 'manifest.json',
  text: JSON.stringify([{ Config: 'c', RepoTags: [tag] }]),
});

describe('an archive for docker load', () => {
  test('passes with names that nobody trusts', async () => {
    expect(
      await judge(archive({ name: 'c', text: '{}' }, manifest('registry.example/app:1'))),
    ).toBeUndefined();
    expect(await judge(gzipSync(archive(manifest('portainer/portainer-ce:mine'))), 7)).toBeUndefined();
  });

  test.each([
    ['manifest.json', archive(manifest('portainer/portainer-ce:latest'))],
    ['another spelling of the name', archive(manifest('index.docker.io/portainer/portainer-ce:latest'))],
    [
      'an escaped name',
      archive({ name: 'manifest.json', text: '[{"RepoTags":["portainer\\/portainer-c\\u0065:latest"]}]' }),
    ],
    [
      'a folded key and a harmless one after it',
      archive({ name: './manifest.json', text: '[{"repotagſ":["testcontainers/ryuk:1"],"RepoTags":[]}]' }),
    ],
    ['repositories', archive({ name: 'repositories', text: '{"testcontainers/ryuk":{"0.5":"abc"}}' })],
    [
      'index.json',
      archive({
        name: 'index.json',
        text: '{"manifests":[{"annotations":{"io.containerd.image.name":"docker.io/portainer/portainer-ce:latest"}}]}',
      }),
    ],
    [
      'a folder that leads back',
      archive(
        { name: 'x', type: '2', link: '.' },
        { ...manifest('portainer/portainer-ce:latest'), name: 'x/manifest.json' },
      ),
    ],
    ['gzip', gzipSync(archive(manifest('portainer/portainer-ce:latest')))],
  ])('is refused for a trusted name in %s', async (_where, bytes) => {
    expect(await judge(bytes, 100)).toContain('trusted with the Docker socket');
  });

  test.each([
    [
      'a manifest that is a link',
      archive({ name: 'a', text: '[]' }, { name: 'manifest.json', type: '1', link: 'a' }),
    ],
    ['another packing', Buffer.from('BZh91AY&SY.....................')],
    ['something else', Buffer.alloc(1024, 'x')],
  ])('is refused for %s, which cannot be read for sure', async (_what, bytes) => {
    expect(await judge(bytes)).toContain("can't be read for sure");
  });

  test('needs no judge while no name is trusted', () => {
    expect(loadedImageJudgeFor(settingsSchema.parse({}))).toBeUndefined();
  });
});

/** What the judges of builds learn of the images in the engine's store. */
import { expect, test } from 'vitest';
import { inspected } from '../../src/registry/buildkit/methods.js';
import { WireMessage } from '../../src/registry/buildkit/wire.js';
import { grpcJudgeFor } from '../../src/registry/judges.js';
import { settingsSchema } from '../../src/settings/schema.js';
import { message } from './buildkit/messages.js';

const digest = (digit: string) => `sha256:${digit.repeat(64)}`;

async function namesWith(driverStatus: readonly (readonly string[])[]) {
  const settings = settingsSchema.parse({
    registryAccess: { value: true, registries: [], localImages: true },
  });
  const judge = grpcJudgeFor(
    { route: { name: 'build.grpc' }, query: new Map(), engine: { version: '28.5.2' }, settings },
    {
      listImages: async () => [
        {
          Id: digest('3'),
          RepoTags: ['evil.io:5000/a:1', 'evil.io:5000/b:2'],
          RepoDigests: [`evil.io:5000/a@${digest('1')}`, `evil.io:5000/aa@${digest('2')}`],
        },
      ],
      get: async (_path, schema) => schema.parse({ DriverStatus: driverStatus }),
    },
    { current: settings },
  );
  const verdict = await judge.message(inspected.controlSolve, message([1, 'ref']));
  if (verdict.kind !== 'replace') throw new Error(verdict.kind);
  const rules = WireMessage.parse(verdict.message).message(12)?.messages(2) ?? [];
  return rules
    .filter((rule) => rule.number(1) === 0)
    .map((rule) => /^\^docker-image:\/\/evil\\\.io:5000\/(.*)\$\(/.exec(rule.message(2)?.text(1) ?? '')?.[1])
    .filter((name) => name !== undefined);
}

const named = ['a:1', 'b:2', `a@${digest('1')}`, `aa@${digest('2')}`];

test('an image is known by its tags, its digests, and a tag with a digest of the same repository', async () => {
  expect(await namesWith([['Backing Filesystem', 'extfs']])).toEqual([...named, `a:1@${digest('1')}`]);
});

test('in containerd’s store a tag has the image’s id for its digest', async () => {
  const names = await namesWith([['driver-type', 'io.containerd.snapshotter.v1']]);
  expect(names).toEqual([...named, `a:1@${digest('3')}`, `b:2@${digest('3')}`]);
});

/**
 * What a create request and the container that it led to have in common, as one digest: so that a container which
 * the engine made just before a crash gets the approvals of its own request and of no other.
 * Reads only fields that dockerd keeps as they were sent (moby `daemon/inspect.go`).
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);
const texts = z
  .array(z.string())
  .nullish()
  .transform((value) => value ?? []);

const hostConfigSchema = z.object({
  Binds: texts,
  Mounts: z
    .array(z.object({ Type: text, Source: text, Target: text, ReadOnly: flag }))
    .nullish()
    .transform((value) => value ?? []),
  VolumesFrom: texts,
  Privileged: flag,
});

/**
 * @param image `Image` of the create request as sent, or `Config.Image` of an inspect answer
 * @param hostConfig `HostConfig` of either
 * @returns 64 hex digits
 * @throws ZodError when `hostConfig` isn't one
 */
export function createDigest(image: string, hostConfig: unknown): string {
  const { Binds, Mounts, VolumesFrom, Privileged } = hostConfigSchema.parse(hostConfig ?? {});
  const mounts = Mounts.map(({ Type, Source, Target, ReadOnly }) =>
    JSON.stringify([Type, Source, Target, ReadOnly]),
  );
  const facts = [image, [...Binds].sort(), mounts.sort(), [...VolumesFrom].sort(), Privileged];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}

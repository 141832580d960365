/**
 * Every edit of a specification against its golden files: `edits/NAME/CASE.json` holds the context, the
 * specification before, and the one after or the words of the refusal.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Edit, EditContext } from '../../src/runtime/edits/edit.js';
import { checks, edits, sysboxEdits } from '../../src/runtime/edits/index.js';
import { type Specification, specificationSchema } from '../../src/runtime/specification.js';

const folder = new URL('edits/', import.meta.url);
const all = new Map([...checks, ...edits, ...sysboxEdits].map((edit) => [edit.name, edit]));

const caseSchema = z.object({
  context: z
    .object({
      userNamespacePath: z.string().optional(),
      rootPath: z.string().optional(),
      mountSources: z.record(z.string(), z.string()).optional(),
      mountFlags: z.record(z.string(), z.array(z.string())).optional(),
      deviceBinds: z.object({ devices: z.array(z.any()), mounts: z.array(z.any()) }).optional(),
    })
    .default({}),
  before: z.record(z.string(), z.unknown()),
  after: z.record(z.string(), z.unknown()).optional(),
  refused: z.string().optional(),
});
type Case = z.infer<typeof caseSchema>;

const id = '0123456789abcdef'.repeat(4);
const extents = [{ containerId: 0, hostId: 100_000, size: 65_536 }];

/** The smallest specification that an engine writes, with the case's own parts in it. */
function specification(parts: Record<string, unknown>): Specification {
  const { linux, ...rest } = parts;
  return specificationSchema.parse({
    ociVersion: '1.2.0',
    root: { path: '/var/lib/docker/overlay2/abc/merged' },
    ...rest,
    linux: {
      namespaces: ['mount', 'network', 'uts', 'pid', 'ipc'].map((type) => ({ type })),
      ...(typeof linux === 'object' ? linux : {}),
    },
  });
}

function contextOf({ context }: Case): EditContext {
  const { mountSources, mountFlags, userNamespacePath, rootPath, deviceBinds } = context;
  return {
    containerId: id,
    mapping: { uid: extents, gid: extents },
    mountSources: new Map(
      Object.entries(mountSources ?? {}).map(([index, source]) => [Number(index), source]),
    ),
    mountFlags: new Map(Object.entries(mountFlags ?? {}).map(([index, flags]) => [Number(index), flags])),
    ...(userNamespacePath === undefined ? {} : { userNamespacePath }),
    ...(rootPath === undefined ? {} : { rootPath }),
    ...(deviceBinds === undefined ? {} : { deviceBinds }),
  };
}

function perform(edit: Edit, golden: Case): { after?: Specification; refused?: string } {
  const edited = specification(golden.before);
  try {
    edit.apply(edited, contextOf(golden));
    return { after: edited };
  } catch (problem) {
    return { refused: problem instanceof Error ? problem.message : String(problem) };
  }
}

test('every edit has golden files, and every folder an edit', () => {
  expect(readdirSync(folder).sort()).toEqual([...all.keys()].sort());
});

for (const [name, edit] of all) {
  for (const file of readdirSync(new URL(name, folder))) {
    test(`${name}: ${file.replace('.json', '')}`, () => {
      const text = readFileSync(new URL(`${name}/${file}`, folder), 'utf8').replaceAll('CONTAINER-ID', id);
      const golden = caseSchema.parse(JSON.parse(text));
      const expected =
        golden.after === undefined ? { refused: golden.refused } : { after: specification(golden.after) };
      expect(perform(edit, golden)).toEqual(expected);
    });
  }
}

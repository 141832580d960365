/**
 * A container's bundle: the folder with its config.json. Reading is strict about what the runtime edits, writing
 * replaces the file in one step, so that a backend never sees half of it.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseLossless, stringifyLossless } from './lossless-json.js';
import { RuntimeRefusal } from './refusal.js';
import { type Specification, specificationSchema } from './specification.js';

/** A container's specification is some 60 KiB; nothing near this limit was ever a container. */
const largestSpecification = 16 * 1024 * 1024;

/**
 * The engine's own specification while the edited one stands in its place: a preparation that was killed before it
 * could say that it was done is begun anew, by another process, from what the engine wrote. Engines make a new
 * folder for each start.
 */
const engineCopy = '.config.json.engine';

/** @throws RuntimeRefusal COFFERDAM_RUNTIME_BUNDLE when config.json is missing or isn't a Linux specification */
export function readBundle(folder: string): Specification {
  const kept = join(folder, engineCopy);
  const path = existsSync(kept) ? kept : join(folder, 'config.json');
  try {
    const descriptor = openSync(path, 'r');
    try {
      if (fstatSync(descriptor).size > largestSpecification) throw new RangeError('it is too large');
      return specificationSchema.parse(parseLossless(readFileSync(descriptor, 'utf8')));
    } finally {
      closeSync(descriptor);
    }
  } catch (problem) {
    const reason =
      problem instanceof z.ZodError
        ? problem.issues.map((issue) => `/${issue.path.join('/')}: ${issue.message}`).join('; ')
        : String(problem instanceof Error ? problem.message : problem);
    throw new RuntimeRefusal('COFFERDAM_RUNTIME_BUNDLE', `cofferdam-runtime: ${path}: ${reason}`, problem);
  }
}

/** Replaces a bundle's config.json, and keeps the engine's. */
export function writeBundle(folder: string, specification: Specification): void {
  const path = join(folder, 'config.json');
  const next = join(folder, '.config.json.cofferdam');
  writeFileSync(next, stringifyLossless(specification), { mode: 0o600 });
  const kept = join(folder, engineCopy);
  // A second link is whole at once; a copy could be cut off.
  if (!existsSync(kept)) linkSync(path, kept);
  renameSync(next, path);
}

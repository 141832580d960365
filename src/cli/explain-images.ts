/**
 * `cofferdam explain --pull REFERENCE` and `--build DIR`: what the registry settings say about an image, or about
 * everything that a Dockerfile needs. Judged from the settings alone: no engine and no registry is asked.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type DockerfileNeed, DockerfileUnsure, dockerfileNeeds } from '../registry/dockerfile.js';
import { judgeRegistry, judgeUrl, type RegistryRefusal } from '../registry/policy.js';
import { formatReference, parseReference, ReferenceProblem, withDefaultTag } from '../registry/reference.js';
import type { Settings } from '../settings/schema.js';
import { UsageError } from './options.js';
import { colour, print, printJson } from './output.js';

/** One image or address, and what the settings say about it. */
interface Explained {
  /** In the engine's normal form. */
  readonly name: string;
  /** Line of the Dockerfile. */
  readonly line?: number;
  readonly allowed: boolean;
  readonly setting?: string;
  readonly reason?: string;
}

/** Explains one pull; 0 when it would be allowed, else 1. */
export function explainPull(reference: string, settings: Settings, json: boolean): number {
  return report([explainImage(reference, settings)], json);
}

/** Explains what the Dockerfile of a folder (or a Dockerfile itself) would fetch; 0 when all of it is allowed. */
export function explainBuild(path: string, settings: Settings, json: boolean): number {
  const file = statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, 'Dockerfile') : path;
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch {
    throw new UsageError(`${file} can't be read`, 'explain');
  }
  try {
    return report(
      dockerfileNeeds(source, new Map()).map((need) => explainNeed(need, settings)),
      json,
    );
  } catch (error) {
    if (!(error instanceof DockerfileUnsure)) throw error;
    return report(
      [{ name: file, allowed: false, reason: `can't be resolved for sure: ${error.message}` }],
      json,
    );
  }
}

function explainNeed(need: DockerfileNeed, settings: Settings): Explained {
  const { line } = need;
  if (need.kind === 'address') return { ...verdict(need.url, judgeUrl(need.url, settings)), line };
  return { ...explainImage(need.image, settings), line };
}

function explainImage(text: string, settings: Settings): Explained {
  try {
    const reference = withDefaultTag(parseReference(text));
    return verdict(formatReference(reference), judgeRegistry(reference, 'pull', settings));
  } catch (error) {
    if (!(error instanceof ReferenceProblem)) throw error;
    return { name: text, allowed: false, reason: error.message };
  }
}

function verdict(name: string, refusal: RegistryRefusal | undefined): Explained {
  if (refusal === undefined) return { name, allowed: true };
  return { name, allowed: false, setting: refusal.setting, reason: refusal.text };
}

function report(list: readonly Explained[], json: boolean): number {
  if (json) printJson(list);
  else for (const item of list) printItem(item);
  return list.every(({ allowed }) => allowed) ? 0 : 1;
}

function printItem({ name, line, allowed, setting, reason }: Explained): void {
  const where = line === undefined ? '' : ` (line ${line})`;
  print(`${allowed ? colour('green', 'allowed') : colour('red', 'refused')}  ${name}${where}`);
  if (reason !== undefined) print(`  ${reason}${setting === undefined ? '' : `\n  setting: ${setting}`}`);
}

/**
 * Judges raw LLB: the build operations in a client's own definitions. BuildKit decides for itself what a Dockerfile
 * becomes, but a client may send any graph; what a RUN step may not have is refused here as well as by entitlements.
 * Field numbers: buildkit `solver/pb/ops.proto`.
 */
import type { Settings } from '../../settings/schema.js';
import { judgeRegistry, judgeUrl } from '../policy.js';
import { parseReference } from '../reference.js';
import { isRestricted } from './exchange.js';
import { type BuildFinding, isolationFinding, registryFinding } from './refusal.js';
import { type WireMessage, WireProblem } from './wire.js';

const networkHost = 1;
const securityInsecure = 1;

/** Op: inputs, exec, source, file, build, merge, diff, passthrough, platform, constraints. */
const operationFields = new Set([1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
/** ExecOp: meta, mounts, network, security, secretenv, cdiDevices. */
const execFields = new Set([1, 2, 3, 4, 5, 6]);
/** Meta, from args to validExitCodes. */
const metaFields = new Set([1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12]);
/** Mount, from input to mountType, and the options of each type. */
const mountFields = new Set([1, 2, 3, 4, 5, 6, 19, 20, 21, 22, 23, 24]);
/** SourceOp: identifier, attrs. */
const sourceFields = new Set([1, 2]);

/** What an ExecOp, a NewContainer request or an ExecProcess message asks for beyond a sandbox. */
export interface StepPowers {
  readonly network: number;
  readonly security: number;
  readonly devices: number;
  readonly cgroupParent: string;
}

/** Findings about one step's powers; with isolation off there are none. */
export function judgePowers(powers: StepPowers, settings: Settings): readonly BuildFinding[] {
  if (!settings.enhancedContainerIsolation.value) return [];
  const findings: BuildFinding[] = [];
  if (powers.network === networkHost) {
    const what = "a build step may not use the host's network (entitlement network.host)";
    findings.push(isolationFinding(what, 'Leave out --network=host.'));
  }
  if (powers.security === securityInsecure) {
    const what = 'a build step may not run without a sandbox (entitlement security.insecure)';
    findings.push(isolationFinding(what, 'Leave out --security=insecure.'));
  }
  if (powers.devices > 0) {
    const what = 'a build step may not use devices of the host (entitlement device)';
    findings.push(isolationFinding(what, 'Leave out --device.'));
  }
  if (powers.cgroupParent !== '') {
    const what = `a build step may not choose its parent cgroup ${JSON.stringify(powers.cgroupParent)}`;
    findings.push(isolationFinding(what, 'Leave out --cgroup-parent.'));
  }
  return findings;
}

/**
 * The parent cgroup that a step's process asks for in its `pb.Meta`; empty where it asks for none.
 * @throws WireProblem
 */
export function parentCgroup(meta: WireMessage | undefined): string {
  meta?.requireOnly(metaFields, 'pb.Meta');
  return meta?.text(10) ?? '';
}

/** @throws WireProblem when a mount asks for something that isn't known */
export function checkMounts(mounts: readonly WireMessage[]): void {
  for (const mount of mounts) mount.requireOnly(mountFields, 'pb.Mount');
}

function judgeExec(operation: WireMessage, settings: Settings): readonly BuildFinding[] {
  if (!settings.enhancedContainerIsolation.value) return [];
  operation.requireOnly(execFields, 'pb.ExecOp');
  checkMounts(operation.messages(2));
  const powers = {
    network: operation.number(3),
    security: operation.number(4),
    devices: operation.bytes(6).length,
    cgroupParent: parentCgroup(operation.message(1)),
  };
  return judgePowers(powers, settings);
}

/**
 * A source that the client names itself. The source policy holds for it too; this says it in our words, and keeps an
 * image that is allowed only because it is local from being looked for in its registry.
 */
function judgeSource(operation: WireMessage, settings: Settings): readonly BuildFinding[] {
  if (isRestricted(settings)) operation.requireOnly(sourceFields, 'pb.SourceOp');
  const identifier = operation.text(1);
  const attributes = new Map(operation.textEntries(2));
  const image = /^docker-image:\/\/(.*)$/s.exec(identifier)?.[1];
  if (image === undefined) {
    if (!/^https?:\/\//.test(identifier)) return [];
    const refusal = judgeUrl(identifier, settings);
    return refusal === undefined ? [] : [registryFinding(refusal)];
  }
  return judgeImage(image, attributes.get('image.resolvemode') ?? '', settings);
}

/** An image by its full name and resolve mode: listed, or (with `localImages`) to be taken from the store only. */
export function judgeImage(name: string, resolveMode: string, settings: Settings): readonly BuildFinding[] {
  let refusal: ReturnType<typeof judgeRegistry>;
  try {
    refusal = judgeRegistry(parseReference(name), 'pull', settings);
  } catch {
    throw new WireProblem(`${JSON.stringify(name)} is no image reference`);
  }
  if (refusal === undefined) return [];
  // The policy still holds: it allows the name only if the image is here.
  if (settings.registryAccess.localImages && resolveMode === 'local') return [];
  return [registryFinding(refusal)];
}

function judgeOperation(operation: WireMessage, settings: Settings): readonly BuildFinding[] {
  operation.requireOnly(operationFields, 'pb.Op');
  const exec = operation.message(2);
  const source = operation.message(3);
  const nested = operation.message(5)?.message(3);
  return [
    ...(exec === undefined ? [] : judgeExec(exec, settings)),
    ...(source === undefined ? [] : judgeSource(source, settings)),
    ...(nested === undefined ? [] : judgeDefinition(nested, settings)),
  ];
}

/**
 * Every operation of a `pb.Definition`.
 * @throws WireProblem
 */
export function judgeDefinition(definition: WireMessage, settings: Settings): readonly BuildFinding[] {
  return definition.messages(1).flatMap((operation) => judgeOperation(operation, settings));
}

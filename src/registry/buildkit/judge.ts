/**
 * Judges what a client sends to the engine's BuildKit over POST /grpc. A Solve request gets our source policy as one
 * more field at its end; everything else of it goes on byte for byte. It must never let a message pass that it could
 * not read for sure while something is restricted.
 */
import type { Settings } from '../../settings/schema.js';
import { judgeRegistry } from '../policy.js';
import { parseReference } from '../reference.js';
import {
  isRestricted,
  judgeCacheEntries,
  judgeCacheOptions,
  judgeContexts,
  judgeExportedNames,
  judgeExporter,
  judgeFrontendSources,
  pushes,
} from './exchange.js';
import { explainStatus } from './explanation.js';
import { type GrpcAnswer, type GrpcJudge, type GrpcVerdict, grpcStatus } from './grpc-judge.js';
import { inspected, methodKind } from './methods.js';
import { checkMounts, judgeDefinition, judgeImage, judgePowers, parentCgroup } from './operations.js';
import { type BuildFinding, isolationFinding, isolationSetting, refuse, registryFinding } from './refusal.js';
import { sourcePolicy } from './source-policy.js';
import { appendField, WireMessage, WireProblem } from './wire.js';

/** What the judge needs to know about the engine in front of which it stands. */
export interface BuildkitContext {
  /** The settings in force now. */
  settings(): Settings;
  /** `Version` of GET /version. */
  readonly engineVersion: string;
  /** Every name by which an image in the engine's store is found. */
  localImages(): Promise<readonly string[]>;
  /** Why this client may not push, where it may not (a container's command list): a build that pushes is a push. */
  readonly pushRefusal?: { readonly text: string; readonly setting: string } | undefined;
}

/** Of how many builds on one connection it is remembered how they began. */
const buildsKept = 1000;

type Attributes = readonly (readonly [string, string])[];

const sourcePolicyField = 12;
const frontendAttributesField = 7;
const bridgeFrontendOptionsField = 3;

// SolveRequest up to EnableSessionExporter and CompatibilityVersion. SourcePolicySession (15) lets the client answer
// for the policy, ProxyNetwork (17) and later ones are unknown: they may name a source.
const solveFields = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16]);
const bridgeSolveFields = new Set([1, 2, 3, 5, 6, 10, 11, 12, 13, 14, 15]);
// Without their source policies (8): one that turns the judged image into another would be asked for in the first one's
// way, which a local image's registry mustn't hear of.
const imageConfigFields = new Set([1, 2, 3, 4, 5, 6, 7]);
const sourceMetaFields = new Set([1, 2, 3, 4, 5, 6, 7]);
const newContainerFields = new Set([1, 2, 3, 4, 5, 6, 7]);
const execMessageFields = new Set([1, 2, 3, 4, 5, 6, 7, 8]);
const initFields = new Set([1, 2, 3, 4, 5, 6]);
/** Exporter: type and attributes. */
const exporterFields = new Set([1, 2]);
const knownFrontends = new Set(['', 'dockerfile.v0', 'gateway.v0']);

/**
 * Whether this engine's BuildKit obeys source policies: dockerd 23.0 has BuildKit 0.10, which ignores the field,
 * 24.0 has 0.11.6, which obeys. A version that can't be read counts as old.
 */
export function obeysSourcePolicy(engineVersion: string): boolean {
  const major = /^(\d+)\./.exec(engineVersion)?.[1];
  return major !== undefined && Number(major) >= 24;
}

/** The answer to builds that can't be held to the list on this engine. */
export const oldEngineText =
  'registry access: this Docker Engine is older than 24.0, and its BuildKit cannot be held to the registry list. Build with DOCKER_BUILDKIT=0, or upgrade the engine. (setting registryAccess.value)';

function judgeFrontend(
  frontend: string,
  attributes: Attributes,
  settings: Settings,
): readonly BuildFinding[] {
  const findings = [...judgeFrontendSources(attributes, settings), ...judgeContexts(attributes, settings)];
  if (isRestricted(settings) && !knownFrontends.has(frontend)) {
    const text = `registry access: the frontend ${JSON.stringify(frontend)} is not known here (setting registryAccess.value)`;
    findings.push({ text, setting: 'registryAccess.value' });
  }
  for (const [key, value] of attributes) {
    const host = key === 'force-network-mode' && value === 'host';
    const cgroupParent = key === 'cgroup-parent' ? value : '';
    findings.push(...judgePowers({ network: host ? 1 : 0, security: 0, devices: 0, cgroupParent }, settings));
  }
  return findings;
}

function judgeEntitlements(names: readonly string[], settings: Settings): readonly BuildFinding[] {
  if (!settings.enhancedContainerIsolation.value) return [];
  return names.map((name) => {
    const what = `a build may not have the entitlement ${JSON.stringify(name)}`;
    return isolationFinding(what, `Leave out --allow ${name.split('=')[0]}.`);
  });
}

function definitions(message: WireMessage, single: number, map: number): readonly WireMessage[] {
  const definition = message.message(single);
  const inputs = message.messageEntries(map).map(([, input]) => input);
  return definition === undefined ? inputs : [definition, ...inputs];
}

/** The resolve mode that the attributes ask for: the last one counts, as in a Go map. */
function resolveMode(attributes: Attributes): string {
  return attributes.filter(([key]) => key === 'image-resolve-mode').at(-1)?.[1] ?? '';
}

/**
 * With local images allowed, names are taken from the store first: with the containerd image store the engine would
 * otherwise ask the registry first, also one that isn't listed.
 */
function preferLocal(message: Uint8Array, field: number, attributes: Attributes): Uint8Array {
  const mode = resolveMode(attributes);
  if (mode !== '' && mode !== 'default') return message;
  const encoder = new TextEncoder();
  const key = appendField(new Uint8Array(), 1, encoder.encode('image-resolve-mode'));
  return appendField(message, field, appendField(key, 2, encoder.encode('local')));
}

const pullWithLocalImages: BuildFinding = {
  text: 'registry access: --pull would ask the registries of local images that are not listed. Leave out --pull, or pull the base images first. (setting registryAccess.localImages)',
  setting: 'registryAccess.localImages',
};

/** The exporters of a Solve: the deprecated single one, and the list. */
function exporters(message: WireMessage): readonly { type: string; attributes: Attributes }[] {
  const listed = message.messages(13).map((exporter) => {
    exporter.requireOnly(exporterFields, 'control.Exporter');
    return { type: exporter.text(1), attributes: exporter.textEntries(2) };
  });
  return [{ type: message.text(3), attributes: message.textEntries(4) }, ...listed];
}

/**
 * What a build comes to: a result, or an error. With neither, dockerd follows a pointer that isn't there and ends, with
 * every container that it can't restore (buildkit `frontend/gateway/gateway.go`, Return).
 */
function judgeReturn(message: WireMessage): GrpcVerdict {
  if (message.message(1) !== undefined || message.message(2) !== undefined) return { kind: 'allow' };
  return refuse([
    isolationFinding(
      'a build that returns neither a result nor an error would end the engine',
      'Return one.',
    ),
  ]);
}

/** What holds for one build from its Solve to its end. */
interface Terms {
  readonly settings: Settings;
  /** Whether the build's policy allows images because they are local. */
  readonly allowsLocalImages: boolean;
}

class BuildkitJudge implements GrpcJudge {
  readonly #context: BuildkitContext;
  /**
   * By the ref of their Solve: a client runs several builds side by side, each under the settings it began with. One
   * that is forgotten is held to what holds for any.
   */
  readonly #builds = new Map<string, Terms>();
  /** The settings of the last Solve: errors are explained by them. */
  #latest: Settings;
  /** What the engine refused, once each. */
  readonly #told = new Set<string>();

  constructor(context: BuildkitContext) {
    this.#context = context;
    this.#latest = context.settings();
  }

  /** A build that began elsewhere is held to whatever the settings can mean for one. */
  #termsOf(build: string): Terms {
    const known = this.#builds.get(build);
    if (known !== undefined) return known;
    const settings = this.#context.settings();
    return { settings, allowsLocalImages: isRestricted(settings) && settings.registryAccess.localImages };
  }

  method(path: string): ReturnType<GrpcJudge['method']> {
    const kind = methodKind(path);
    if (kind !== undefined) return kind;
    return {
      kind: 'deny',
      status: grpcStatus.unimplemented,
      message: `enhanced container isolation: the build method ${path} is not permitted (setting ${isolationSetting}).`,
      setting: isolationSetting,
    };
  }

  async message(path: string, message: Uint8Array, build = ''): Promise<GrpcVerdict> {
    const begins = path === inspected.controlSolve;
    const terms = begins
      ? { settings: this.#context.settings(), allowsLocalImages: false }
      : this.#termsOf(build);
    const { settings } = terms;
    if (begins) this.#latest = settings;
    const judged = settings.enhancedContainerIsolation.value || isRestricted(settings);
    if (!judged && this.#context.pushRefusal === undefined) {
      if (begins) this.#noteUnread(message, terms);
      return { kind: 'allow' };
    }
    try {
      return await this.#judge(path, message, terms);
    } catch (error) {
      if (!(error instanceof WireProblem)) throw error;
      const text = `enhanced container isolation: the build request can't be read for sure: ${error.message}`;
      return { kind: 'deny', status: grpcStatus.invalidArgument, message: text, setting: 'none' };
    }
  }

  status(rawHeaders: readonly string[]): GrpcAnswer {
    if (!isRestricted(this.#latest)) return { rawHeaders };
    const explained = explainStatus(rawHeaders, this.#latest);
    // A client hears of one denial by several calls of its build.
    const [first, ...rest] = explained.found.map(registryFinding).filter(({ text }) => !this.#told.has(text));
    if (first === undefined) return { rawHeaders: explained.rawHeaders };
    for (const { text } of [first, ...rest]) this.#told.add(text);
    return { rawHeaders: explained.rawHeaders, refusal: refuse([first, ...rest]) };
  }

  /** A ref that is given again may still name the earlier build: what that one allows is remembered. */
  #note(build: string, terms: Terms): void {
    const earlier = this.#builds.get(build)?.allowsLocalImages ?? false;
    this.#builds.set(build, { ...terms, allowsLocalImages: earlier || terms.allowsLocalImages });
    if (this.#builds.size <= buildsKept) return;
    const [oldest] = this.#builds.keys();
    if (oldest !== undefined) this.#builds.delete(oldest);
  }

  /** A Solve that nobody judges may be anything: one that can't be read is no build that is known. */
  #noteUnread(message: Uint8Array, terms: Terms): void {
    try {
      this.#note(WireMessage.parse(message).text(1), terms);
    } catch (error) {
      if (!(error instanceof WireProblem)) throw error;
    }
  }

  async #judge(path: string, bytes: Uint8Array, terms: Terms): Promise<GrpcVerdict> {
    const { settings } = terms;
    const message = WireMessage.parse(bytes);
    switch (path) {
      case inspected.controlSolve:
        return this.#judgeSolve(message, bytes, settings);
      case inspected.bridgeSolve:
        return this.#judgeBridgeSolve(message, bytes, terms);
      case inspected.bridgeReturn:
        return judgeReturn(message);
      case inspected.resolveImageConfig:
        return verdict(judgeImageConfig(message, settings));
      case inspected.resolveSourceMeta:
        return verdict(judgeSourceMeta(message, settings));
      case inspected.newContainer:
        return verdict(judgeNewContainer(message, settings));
      default:
        return verdict(judgeExecProcess(message, settings));
    }
  }

  async #judgeSolve(message: WireMessage, bytes: Uint8Array, settings: Settings): Promise<GrpcVerdict> {
    if (isRestricted(settings) && !obeysSourcePolicy(this.#context.engineVersion)) {
      return refuse([{ text: oldEngineText, setting: 'registryAccess.value' }]);
    }
    if (isRestricted(settings)) message.requireOnly(solveFields, 'control.SolveRequest');
    const attributes = message.textEntries(frontendAttributesField);
    const cache = message.message(8);
    const found = [
      ...judgeEntitlements(message.texts(9), settings),
      ...judgeFrontend(message.text(6), attributes, settings),
      ...definitions(message, 2, 10).flatMap((definition) => judgeDefinition(definition, settings)),
      ...exporters(message).flatMap(({ type, attributes }) => [
        ...judgeExporter(type, attributes, settings),
        ...judgeExportedNames(type, attributes, settings),
      ]),
      ...(cache === undefined ? [] : judgeCacheOptions(cache, settings)),
      ...this.#judgePush(message, cache),
    ];
    const [first, ...rest] = found;
    if (first !== undefined) return refuse([first, ...rest]);
    if (!isRestricted(settings)) {
      this.#note(message.text(1), { settings, allowsLocalImages: false });
      return { kind: 'allow' };
    }
    const mayBeLocal = settings.registryAccess.localImages && resolveMode(attributes) !== 'pull';
    const local = mayBeLocal ? unlisted(await this.#context.localImages(), settings) : [];
    const allowsLocalImages = local.length > 0;
    this.#note(message.text(1), { settings, allowsLocalImages });
    const preferred = allowsLocalImages ? preferLocal(bytes, frontendAttributesField, attributes) : bytes;
    return {
      kind: 'replace',
      message: appendField(preferred, sourcePolicyField, sourcePolicy(settings, local)),
    };
  }

  /** Exporters that push, and caches that are exported to a registry. */
  #judgePush(message: WireMessage, cache: WireMessage | undefined): readonly BuildFinding[] {
    const refusal = this.#context.pushRefusal;
    if (refusal === undefined) return [];
    const exported = exporters(message).map(({ attributes }) => attributes);
    const caches = cache?.messages(4).filter((entry) => entry.text(1) === 'registry') ?? [];
    const any = exported.some(pushes) || caches.length > 0 || (cache?.text(1) ?? '') !== '';
    return any ? [refusal] : [];
  }

  #judgeBridgeSolve(
    message: WireMessage,
    bytes: Uint8Array,
    { settings, allowsLocalImages }: Terms,
  ): GrpcVerdict {
    if (isRestricted(settings)) message.requireOnly(bridgeSolveFields, 'gateway.SolveRequest');
    const attributes = message.textEntries(bridgeFrontendOptionsField);
    const found = [
      ...judgeFrontend(message.text(2), attributes, settings),
      ...definitions(message, 1, 13).flatMap((definition) => judgeDefinition(definition, settings)),
      ...judgeCacheEntries(message.messages(12), 'pull', settings),
    ];
    if (allowsLocalImages && resolveMode(attributes) === 'pull') found.push(pullWithLocalImages);
    if (found.length > 0 || !allowsLocalImages || message.text(2) === '') return verdict(found);
    return { kind: 'replace', message: preferLocal(bytes, bridgeFrontendOptionsField, attributes) };
  }
}

/** The local images that only their being here allows: for these the build must not ask a registry. */
function unlisted(names: readonly string[], settings: Settings): readonly string[] {
  return names.filter((name) => {
    try {
      return judgeRegistry(parseReference(name), 'pull', settings) !== undefined;
    } catch {
      return false;
    }
  });
}

function verdict(found: readonly BuildFinding[]): GrpcVerdict {
  const [first, ...rest] = found;
  return first === undefined ? { kind: 'allow' } : refuse([first, ...rest]);
}

/** ResolveImageConfigRequest: the image in field 1, the resolve mode in field 3. */
function judgeImageConfig(message: WireMessage, settings: Settings): readonly BuildFinding[] {
  if (!isRestricted(settings)) return [];
  message.requireOnly(imageConfigFields, 'gateway.ResolveImageConfigRequest');
  return judgeImage(message.text(1), message.text(3), settings);
}

/** ResolveSourceMetaRequest: the source in field 1, the resolve mode in field 4. */
function judgeSourceMeta(message: WireMessage, settings: Settings): readonly BuildFinding[] {
  if (!isRestricted(settings)) return [];
  message.requireOnly(sourceMetaFields, 'gateway.ResolveSourceMetaRequest');
  const image = /^docker-image:\/\/(.*)$/s.exec(message.message(1)?.text(1) ?? '')?.[1];
  return image === undefined ? [] : judgeImage(image, message.text(4), settings);
}

/** NewContainerRequest: mounts in field 2, the network mode in field 3. */
function judgeNewContainer(message: WireMessage, settings: Settings): readonly BuildFinding[] {
  if (!settings.enhancedContainerIsolation.value) return [];
  message.requireOnly(newContainerFields, 'gateway.NewContainerRequest');
  checkMounts(message.messages(2));
  return judgePowers({ network: message.number(3), security: 0, devices: 0, cgroupParent: '' }, settings);
}

/** ExecMessage: InitMessage in field 2, in it the step's Meta (2) and security mode (5). */
function judgeExecProcess(message: WireMessage, settings: Settings): readonly BuildFinding[] {
  if (!settings.enhancedContainerIsolation.value) return [];
  message.requireOnly(execMessageFields, 'gateway.ExecMessage');
  const init = message.message(2);
  if (init === undefined) return [];
  init.requireOnly(initFields, 'gateway.InitMessage');
  const cgroupParent = parentCgroup(init.message(2));
  return judgePowers({ network: 0, security: init.number(5), devices: 0, cgroupParent }, settings);
}

/** A judge for one connection of a client to BuildKit. */
export function buildkitJudge(context: BuildkitContext): GrpcJudge {
  return new BuildkitJudge(context);
}

/**
 * Binds as the engine is to get them: it must never make their sources. For `Binds`, and for binds that come with
 * `VolumesFrom`, it makes a missing source as host root at every start, through whatever links stand in its way by then,
 * also where a restart policy starts the container and no request is judged (moby daemon/volume/mounts/mounts.go,
 * Setup). For `Mounts` it doesn't. So every bind becomes one of `Mounts`, once its source was made by its caller.
 */
import type { JsonArray, JsonObject } from '../engine/json.js';
import type { AskedBinds } from '../uid-allocator/record.js';
import { type HostSource, hostSources } from './host-sources.js';
import { isObject, listAt, textsAt, withValueAt } from './json-pointer.js';
import { mountList } from './mount-wishes.js';
import type { Facts, JudgedRequest } from './rule.js';

const binds = '/HostConfig/Binds';
const mounts = '/HostConfig/Mounts';

/** The request with its binds pinned, for creates of isolated containers; other requests stay as they are. */
export function withPinnedBinds(request: JudgedRequest, facts: Facts): JudgedRequest {
  const { body, route, settings } = request;
  if (route.name !== 'container.create' || !settings.enhancedContainerIsolation.value) return request;
  const made = hostSources(request, facts).filter(({ createsSource }) => createsSource);
  if (body === undefined || made.length === 0) return request;
  const named = made.filter(({ field }) => field.startsWith(`${binds}/`));
  const kept = textsAt(body, binds).filter(
    ([index]) => !named.some(({ field }) => field === `${binds}/${index}`),
  );
  const all: JsonArray = [
    ...listAt(body, mounts).map(withoutMaking),
    ...named.map(asMount),
    ...inherited(request, made).map(asMount),
  ];
  const texts = kept.map(([, text]) => text);
  return {
    ...request,
    body: withValueAt(withValueAt(body, binds, texts.length === 0 ? null : texts), mounts, all),
  };
}

/**
 * What the client asked for, where `withPinnedBinds` made something else of it: for showing it to the client again.
 * @param original the request as it came
 * @param applied the same with what the rules set
 * @param pinned the applied request with its binds pinned
 */
export function askedBinds(
  original: JudgedRequest,
  applied: JudgedRequest,
  pinned: JudgedRequest,
): AskedBinds | undefined {
  if (pinned === applied) return undefined;
  return {
    binds: textsAt(original.body, binds).map(([, text]) => text),
    mounts: listAt(original.body, mounts).length,
  };
}

/** Binds of other containers, each destination once, but for those that the request's own mounts replace. */
function inherited(request: JudgedRequest, made: readonly HostSource[]): readonly HostSource[] {
  const own = mountList(request).wishes.filter(
    ({ field }) => field.startsWith(`${binds}/`) || field.startsWith(`${mounts}/`),
  );
  const last = new Map(
    made.filter(({ way }) => way === 'inherited').map((source) => [source.destination, source]),
  );
  for (const { destination } of own) last.delete(destination);
  return [...last.values()];
}

function asMount({ path, destination, readOnly, words }: HostSource): JsonObject {
  const propagation = words.find((word) => /^r?(private|slave|shared)$/.test(word));
  return {
    Type: 'bind',
    Source: path,
    Target: destination,
    ...(readOnly ? { ReadOnly: true } : {}),
    ...(propagation === undefined ? {} : { BindOptions: { Propagation: propagation } }),
  };
}

/** Its source is there by now: made by the caller, or the request would have been refused. */
function withoutMaking(value: JsonArray[number]): JsonArray[number] {
  if (!isObject(value) || !isObject(value['BindOptions'])) return value;
  const { CreateMountpoint: _, ...options } = value['BindOptions'];
  return { ...value, BindOptions: options };
}

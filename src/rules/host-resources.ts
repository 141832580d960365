/**
 * The rule `host-resources`: limits make a container smaller; these fields would make it greater than its caller. A
 * cgroup parent leaves the engine's own limits, a negative OOM score sacrifices the host's processes first, realtime
 * and negative nice values take the processor from them.
 */
import { JsonProblem, type JsonValue, parseGoJson } from '../engine/json.js';
import { placesOf } from './body-places.js';
import { findingsOf } from './finding.js';
import { integerAt, isObject, listAt, textAt } from './json-pointer.js';
import type { Denial, Finding, JudgedRequest, Rule } from './rule.js';

const { deny, set } = findingsOf('host-resources');

/**
 * What buildx asks for with its docker-container driver where the engine's cgroup driver is cgroupfs (docker/buildx,
 * driver/docker-container/driver.go): below the engine's own parent, which does as well.
 */
const buildxParent = '/docker/buildx';

export const hostResources: Rule = {
  id: 'host-resources',
  summary:
    '`CgroupParent` (buildx’s own is left out), an `OomScoreAdj` below 0, realtime CPU and the ulimits `rtprio` and `nice` are refused; other limits pass.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create', 'container.update', 'service.create', 'service.update', 'image.build'],
  judge: (request) => {
    if (request.route.name === 'image.build') return judgeBuild(request);
    const resources = request.route.name === 'container.create' ? '/HostConfig' : '';
    const places = placesOf(request);
    const ulimits = places.ulimits ?? '/Ulimits';
    return [
      ...judgeCgroupParent(request, `${resources}/CgroupParent`),
      ...judgeRealtime(request, `${resources}/CpuRealtimePeriod`),
      ...judgeRealtime(request, `${resources}/CpuRealtimeRuntime`),
      ...judgeOomScore(request, places.oomScoreAdjustment),
      ...judgeUlimits(listAt(request.body, ulimits), ulimits),
    ];
  },
};

function judgeCgroupParent(request: JudgedRequest, field: string): readonly Finding[] {
  const parent = textAt(request.body, field);
  if (parent === '') return [];
  if (parent === buildxParent) return [set(field, '', 'the engine’s own cgroup parent')];
  return [deny(field, `the cgroup parent ${parent} is refused`, 'Leave it out: the engine’s own is used.')];
}

function judgeRealtime(request: JudgedRequest, field: string): readonly Finding[] {
  if (integerAt(request.body, field) === 0n) return [];
  return [deny(field, 'realtime CPU time is refused', 'Use --cpus or --cpu-shares.')];
}

function judgeOomScore(request: JudgedRequest, field: string | undefined): readonly Finding[] {
  if (field === undefined || integerAt(request.body, field) >= 0n) return [];
  return [deny(field, 'a negative OOM score would have the host’s processes killed first', 'Use 0 or more.')];
}

/** RLIMIT_RTPRIO and RLIMIT_NICE (setrlimit(2)) hold for processes in a user namespace too; 20 is the nice value 0. */
function judgeUlimits(limits: readonly JsonValue[], list: string): readonly Denial[] {
  return limits.flatMap((limit, index) => {
    const name = textAt(limit, '/Name').toLowerCase();
    const greatest = name === 'rtprio' ? 0n : name === 'nice' ? 20n : undefined;
    // -1 means unlimited.
    const fits = (value: bigint) => value >= 0n && value <= (greatest ?? value);
    if (greatest === undefined || ['/Soft', '/Hard'].every((key) => fits(integerAt(limit, key)))) return [];
    return [
      deny(`${list}/${index}`, `the ulimit ${name} would go before the host’s processes`, 'Leave it out.'),
    ];
  });
}

/** The classic builder hands these to its containers as they are. */
function judgeBuild(request: JudgedRequest): readonly Finding[] {
  const parent = request.query.get('cgroupparent')?.find((value) => value !== '');
  const found: Finding[] = [];
  if (parent !== undefined) {
    found.push(deny('query:cgroupparent', `the cgroup parent ${parent} is refused`, 'Leave it out.'));
  }
  return [...found, ...judgeBuildUlimits(request.query.get('ulimits')?.[0] ?? '')];
}

/** A JSON list in a text. Go takes its keys in any case: so other spellings are refused. */
function judgeBuildUlimits(text: string): readonly Finding[] {
  const limits = text === '' ? [] : readUlimits(text);
  if (limits === undefined) {
    const remedy = 'Write [{"Name":"…","Soft":…,"Hard":…}].';
    return [
      deny('query:ulimits', 'the ulimits are no list that can be read for sure', remedy, { status: 400 }),
    ];
  }
  return judgeUlimits(limits, '').map((finding) => ({ ...finding, field: 'query:ulimits' }));
}

const ulimitKeys = ['Name', 'Soft', 'Hard'];

function readUlimits(text: string): readonly JsonValue[] | undefined {
  let value: JsonValue;
  try {
    value = parseGoJson(Buffer.from(text));
  } catch (error) {
    if (error instanceof JsonProblem) return undefined;
    throw error;
  }
  if (value === null) return [];
  const isUlimit = (limit: JsonValue) =>
    isObject(limit) && Object.keys(limit).every((key) => ulimitKeys.includes(key));
  return Array.isArray(value) && value.every(isUlimit) ? value : undefined;
}

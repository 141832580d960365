/**
 * The rule `host-resources`: limits make a container smaller; these fields would make it greater than its caller. A
 * cgroup parent leaves the engine's own limits, a negative OOM score sacrifices the host's processes first, realtime
 * and negative nice values take the processor from them.
 */
import { placesOf } from './body-places.js';
import { findingsOf } from './finding.js';
import { integerAt, listAt, textAt } from './json-pointer.js';
import type { Finding, JudgedRequest, Rule } from './rule.js';

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
    return [
      ...judgeCgroupParent(request, `${resources}/CgroupParent`),
      ...judgeRealtime(request, `${resources}/CpuRealtimePeriod`),
      ...judgeRealtime(request, `${resources}/CpuRealtimeRuntime`),
      ...judgeOomScore(request, places.oomScoreAdjustment),
      ...judgeUlimits(request, places.ulimits ?? '/Ulimits'),
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
function judgeUlimits(request: JudgedRequest, list: string): readonly Finding[] {
  return listAt(request.body, list).flatMap((_limit, index) => {
    const name = textAt(request.body, `${list}/${index}/Name`).toLowerCase();
    const [soft, hard] = ['Soft', 'Hard'].map((key) => integerAt(request.body, `${list}/${index}/${key}`));
    const greatest = name === 'rtprio' ? 0n : name === 'nice' ? 20n : undefined;
    if (greatest === undefined || soft === undefined || hard === undefined) return [];
    // -1 means unlimited.
    if ([soft, hard].every((value) => value >= 0n && value <= greatest)) return [];
    return [
      deny(`${list}/${index}`, `the ulimit ${name} would go before the host’s processes`, 'Leave it out.'),
    ];
  });
}

/** The classic builder hands these to its containers as they are. */
function judgeBuild(request: JudgedRequest): readonly Finding[] {
  const parent = request.query.get('cgroupparent')?.find((value) => value !== '');
  const limits = (request.query.get('ulimits') ?? []).join(' ');
  const found: Finding[] = [];
  if (parent !== undefined) {
    found.push(deny('query:cgroupparent', `the cgroup parent ${parent} is refused`, 'Leave it out.'));
  }
  if (/"(rtprio|nice)"/i.test(limits)) {
    found.push(deny('query:ulimits', 'the ulimits rtprio and nice are refused', 'Leave them out.'));
  }
  return found;
}

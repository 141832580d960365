/**
 * The rule `subnets`: a network's subnet becomes a route of the host. It must not take addresses away from the host's
 * own routes, nor public ones: traffic of the host to a registry would end in a container. The engine keeps only
 * automatically chosen subnets clear of the host's routes (moby daemon/libnetwork, InferReservedNetworks).
 */
import { type AddressBlock, isPrivateNetwork, overlap, parseBlock } from '../registry/address-blocks.js';
import { findingsOf } from './finding.js';
import { listAt, textAt } from './json-pointer.js';
import type { Denial, Facts, JudgedRequest, Rule } from './rule.js';

const { deny } = findingsOf('subnets');
const list = '/IPAM/Config';

export const subnets: Rule = {
  id: 'subnets',
  summary: 'A network’s subnets must be private ones that overlap none of the host’s routes and addresses.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['network.create'],
  needs: (request) => (listAt(request.body, list).length > 0 ? [{ kind: 'host-routes' }] : []),
  judge: (request, facts) =>
    listAt(request.body, list).flatMap((_config, index) =>
      ['Subnet', 'IPRange'].flatMap((key) => judgeBlock(request, `${list}/${index}/${key}`, facts)),
    ),
};

function judgeBlock(request: JudgedRequest, field: string, facts: Facts): readonly Denial[] {
  const text = textAt(request.body, field);
  if (text === '') return [];
  const block = parseBlock(text);
  if (block === undefined) {
    return [
      deny(field, `${text} is not a block of addresses`, 'Write it as ADDRESS/LENGTH.', { status: 400 }),
    ];
  }
  if (!isPrivateNetwork(block)) {
    return [
      deny(
        field,
        `${text} isn't a private block: the host could no longer reach what is there`,
        'Use a block of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or fd00::/8, or leave it out.',
      ),
    ];
  }
  const taken = overlappingRoute(block, facts.hostRoutes);
  if (taken === undefined) return [];
  return [
    deny(field, `${text} overlaps ${taken}, a route of the host`, 'Use another block, or leave it out.'),
  ];
}

/** The default route is everybody's way out, and overlaps everything. */
function overlappingRoute(block: AddressBlock, routes: readonly string[]): string | undefined {
  return routes.find((route) => {
    const other = parseBlock(route);
    return other !== undefined && other.length > 0 && overlap(block, other);
  });
}

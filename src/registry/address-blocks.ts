/**
 * Addresses and address blocks: which overlap, which belong to the host itself or to its private networks.
 * Pure arithmetic over net.BlockList; no name is ever resolved here.
 */
import { BlockList, isIP } from 'node:net';

export interface AddressBlock {
  readonly address: string;
  readonly length: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** Reads `ADDRESS/LENGTH`, or a single address. `undefined` for anything else. */
export function parseBlock(text: string): AddressBlock | undefined {
  const [address = '', length, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0 || address.includes('%')) return undefined;
  const greatest = version === 4 ? 32 : 128;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return undefined;
  const bits = length === undefined ? greatest : Number(length);
  if (bits > greatest) return undefined;
  return { address, length: bits, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** True when the blocks share an address. */
export function overlap(left: AddressBlock, right: AddressBlock): boolean {
  return left.family === right.family && (contains(left, right) || contains(right, left));
}

/** True when the first block holds all of the second. */
export function contains(outer: AddressBlock, inner: AddressBlock): boolean {
  if (outer.family !== inner.family || outer.length > inner.length) return false;
  return blocks([outer]).check(inner.address, inner.family);
}

function blocks(list: readonly AddressBlock[]): BlockList {
  const result = new BlockList();
  for (const { address, length, family } of list) result.addSubnet(address, length, family);
  return result;
}

function known(texts: readonly string[]): readonly AddressBlock[] {
  return texts.flatMap((text) => parseBlock(text) ?? []);
}

/** Blocks for networks of one's own: RFC 1918, RFC 6598, RFC 2544, RFC 4193, and RFC 3849 for examples. */
const ownNetworks = known([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '198.18.0.0/15',
  'fc00::/7',
  '2001:db8::/32',
]);

/** True for a block within the ranges that nobody's public servers have. */
export function isPrivateNetwork(block: AddressBlock): boolean {
  return ownNetworks.some((outer) => contains(outer, block));
}

/** Blocks that only this host or its own networks can mean (IANA special-purpose registries). */
const innerBlocks = blocks(
  known([
    '0.0.0.0/8',
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '172.16.0.0/12',
    '192.0.0.0/24',
    '192.168.0.0/16',
    '198.18.0.0/15',
    '224.0.0.0/4',
    '240.0.0.0/4',
    '::/127',
    '64:ff9b:1::/48',
    'fc00::/7',
    'fe80::/10',
    'ff00::/8',
  ]),
);
const mappedPrefix = '::ffff:';

/**
 * True for an address that is loopback, link-local, private or otherwise not out on the Internet. IPv4 addresses in
 * IPv6 clothes (`::ffff:127.0.0.1`, NAT64, 6to4) count as what they carry.
 */
export function isInnerAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return innerBlocks.check(address, 'ipv4');
  if (version !== 6) return false;
  const canonical = canonicalIPv6(address);
  const carried = carriedIPv4(canonical);
  return innerBlocks.check(address, 'ipv6') || (carried !== undefined && innerBlocks.check(carried, 'ipv4'));
}

function canonicalIPv6(address: string): string {
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}

function carriedIPv4(canonical: string): string | undefined {
  const sixToFour = /^2002:([0-9a-f]{1,4}):([0-9a-f]{1,4}):/.exec(canonical);
  const tail = /^(?:::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical) ?? sixToFour;
  if (tail === null) return canonical.startsWith(mappedPrefix) ? '0.0.0.0' : undefined;
  const [high = 0, low = 0] = tail.slice(1).map((part) => Number.parseInt(part, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

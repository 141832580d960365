/**
 * The networks that the host itself reaches, from the kernel's routing tables. Read when asked for: they change
 * without telling anybody. Default routes are left out, because they say nothing about a subnet.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Destinations of all routes, policy tables included, and the addresses of the host's interfaces, in CIDR notation.
 * @param folder /proc/net of the network namespace in question (proc(5))
 */
export function readHostRoutes(folder = '/proc/net'): readonly string[] {
  const routes = new Set([
    ...routesOfTrie(readFileSync(join(folder, 'fib_trie'), 'utf8')),
    ...routesOfIpv6Table(readFileOrNothing(join(folder, 'ipv6_route'))),
  ]);
  return [...routes];
}

/** A host without IPv6 has no table of it. */
function readFileOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}

/**
 * fib_trie has every IPv4 table: a leaf line `|-- 192.0.2.0` names an address, the lines below it the routes that
 * begin there, as in `/24 link UNICAST`.
 */
function routesOfTrie(text: string): readonly string[] {
  const routes: string[] = [];
  let address = '';
  for (const line of text.split('\n')) {
    const leaf = /^\s*\|-- (\d+\.\d+\.\d+\.\d+)$/.exec(line);
    if (leaf !== null) address = leaf[1] ?? '';
    const route = /^\s*\/(\d+) \w+ (\w+)/.exec(line);
    if (route === null || route[1] === '0' || route[2] === 'BROADCAST') continue;
    routes.push(`${address}/${route[1]}`);
  }
  return routes;
}

/** Columns: destination and prefix length in hexadecimal, then source, next hop, metric and flags (net/ipv6/route.c). */
function routesOfIpv6Table(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const found = /^([0-9a-f]{32}) ([0-9a-f]{2}) /.exec(line);
    if (found === null) return [];
    const length = Number.parseInt(found[2] ?? '', 16);
    return length === 0 ? [] : [`${(found[1] ?? '').replace(/(.{4})(?!$)/g, '$1:')}/${length}`];
  });
}

/**
 * Which iptables the embedded engine's bridge networks use: the host's own where it works, else the one from the
 * engine's packages, in the variant that the kernel knows. Reads the kernel's tables only; must never change them.
 */
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './command.js';
import type { EngineFiles } from './unpack.js';

/** A packet filter that dockerd can use, as additions to its surroundings. */
export interface PacketFilter {
  readonly name: string;
  /** Folders for dockerd's PATH. */
  readonly path: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Finds the packet filters that work on this host, best first. `folder` gets the links under which dockerd finds
 * a variant that isn't the host's own.
 */
export async function findPacketFilters(files: EngineFiles, folder: string): Promise<PacketFilter[]> {
  const candidates: PacketFilter[] = [
    { name: 'the iptables of this host', path: [], environment: {} },
    ...['nft', 'legacy'].map((variant) => ({
      name: `iptables-${variant} of the engine's packages`,
      path: [linkVariant(files, variant, folder)],
      environment: { XTABLES_LIBDIR: files.packetFilterExtensions },
    })),
  ];
  const working: PacketFilter[] = [];
  for (const candidate of candidates) if (await canReadNat(candidate)) working.push(candidate);
  return working;
}

function linkVariant(files: EngineFiles, variant: string, folder: string): string {
  const place = join(folder, `iptables-${variant}`);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  const program = join(files.packetFilter, `xtables-${variant}-multi`);
  if (!existsSync(program)) return place;
  for (const family of ['iptables', 'ip6tables']) {
    for (const suffix of ['', '-save', '-restore']) symlinkSync(program, join(place, `${family}${suffix}`));
  }
  return place;
}

/** Whether this iptables can list the nat table: it can't when the kernel lacks its variant. */
async function canReadNat(filter: PacketFilter): Promise<boolean> {
  const PATH = [...filter.path, process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'].join(':');
  // A PATH lookup of its own: spawn() looks in the parent's PATH, dockerd will look in this one.
  const { code } = await runCommand('/bin/sh', ['-c', 'exec iptables --wait --table nat --list-rules'], {
    env: { ...process.env, ...filter.environment, PATH },
  });
  return code === 0;
}

/** A fresh Debian that runs, with its engine, an image, and our package beside it, not yet installed. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setup as build } from '../support/build.js';
import { debianRoot } from './debian-root.js';
import { makePackage } from './package-file.js';
import { SystemdHost } from './systemd-host.js';

/** An image of nothing but the host's own programs. */
const importImage = `
mkdir -p /tmp/image/bin /tmp/image/proc
for program in sh cat sleep; do
  cp "/bin/$program" /tmp/image/bin/
  for file in $(ldd "/bin/$program" | grep -o '/[^ ]*lib[^ ]*'); do
    mkdir -p "/tmp/image$(dirname "$file")"; cp "$file" "/tmp/image$file"
  done
done
tar -C /tmp/image -c . | docker import - tiny
`;

/**
 * Boots a host. Its image is `tiny`; the package lies in /root/release, where a checkout's build would leave it.
 * @param daemonJson what its dockerd is told
 */
export async function freshHost(suite: 'bookworm' | 'trixie', daemonJson: string): Promise<SystemdHost> {
  await build();
  const output = mkdtempSync('/var/tmp/cofferdam-release-');
  const file = makePackage(output);
  const root = await debianRoot(suite);
  for (const folder of ['root/release', 'etc/docker'])
    mkdirSync(join(root.path, folder), { recursive: true });
  copyFileSync(file, join(root.path, 'root/release', basename(file)));
  rmSync(output, { recursive: true });
  const host = new SystemdHost(root);
  host.write('etc/docker/daemon.json', daemonJson);
  await host.boot();
  await host.shell(importImage);
  return host;
}

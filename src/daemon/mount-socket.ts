/**
 * A program of its own, for one container: puts a mount that it was handed in the place of the old one of the Docker
 * socket, in the container's mount namespace. Descriptor 3 is the detached mount, 4 the namespace; the only argument
 * is the mount point. It must never follow a link, nor touch a mount that isn't the socket's: the container's files
 * are the container's, and it may move them meanwhile.
 */
import { fstatSync } from 'node:fs';
import { posix } from 'node:path';
import { fchdir } from '../system/libc.js';
import { attachTreeAt, detach } from '../system/mounts.js';
import { enterMountNamespace } from '../system/namespaces.js';
import { openResolved, resolveFlag } from '../system/open-beneath.js';

const [mountPoint = ''] = process.argv.slice(2);
const resolve = resolveFlag.noSymlinks | resolveFlag.noMagicLinks;

enterMountNamespace(4);
// From its folder on, the name is one name: nothing on the way to it can be exchanged.
const folder = openResolved(posix.dirname(mountPoint), { resolve });
fchdir(folder, mountPoint);
const name = posix.basename(mountPoint);
const old = fstatSync(openResolved(name, { directory: folder, resolve }));
if (!old.isSocket() || old.nlink !== 0) throw new Error(`${mountPoint} is not the old socket any more`);
// The kernel mounts nothing on a file that is gone; below it is the empty file that was made for the mount.
detach(name);
const target = openResolved(name, { directory: folder, resolve });
attachTreeAt({ descriptor: 3, source: 'the Docker socket' }, target, mountPoint);
process.exit(0);

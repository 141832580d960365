/**
 * The C library's entry points that Node has no API for. Every call here is synchronous and runs on the calling
 * thread, which matters for the ones that change that thread's credentials. Nothing in here decides anything.
 */
import koffi from 'koffi';
import { SystemCallError } from './system-error.js';

const library = koffi.load(null);

/** Linux gives these the same number on every architecture (include/uapi/asm-generic/unistd.h). */
const numbers = { open_tree: 428, move_mount: 429, openat2: 437, mount_setattr: 442 } as const;

type Descriptor = number;

const syscallOpenTree: (call: number, directory: Descriptor, path: string, flags: number) => number =
  library.func('long syscall(long call, int directory, const char *path, unsigned int flags)');
const syscallMoveMount: (
  call: number,
  fromDirectory: Descriptor,
  from: string,
  toDirectory: Descriptor,
  to: string,
  flags: number,
) => number = library.func(
  'long syscall(long call, int fromDirectory, const char *from, int toDirectory, const char *to, unsigned int flags)',
);
const syscallWithStructure: (
  call: number,
  directory: Descriptor,
  path: string,
  third: Buffer | number,
  fourth: Buffer | number,
  size: number,
) => number = library.func(
  'long syscall(long call, int directory, const char *path, unsigned int flags, void *structure, size_t size)',
);
const syscallOpenat2: (
  call: number,
  directory: Descriptor,
  path: string,
  how: Buffer,
  size: number,
) => number = library.func(
  'long syscall(long call, int directory, const char *path, void *how, size_t size)',
);
const libcMount: (
  source: string,
  target: string,
  type: string | null,
  flags: number,
  data: string | null,
) => number = library.func(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
);
const libcUmount2: (target: string, flags: number) => number = library.func(
  'int umount2(const char *target, int flags)',
);
const libcSetfsuid: (id: number) => number = library.func('int setfsuid(uint32_t id)');
const libcSetfsgid: (id: number) => number = library.func('int setfsgid(uint32_t id)');
const libcCapget: (header: Buffer, data: Buffer) => number = library.func(
  'int capget(void *header, void *data)',
);
const libcCapset: (header: Buffer, data: Buffer) => number = library.func(
  'int capset(void *header, void *data)',
);
const libcSetns: (descriptor: Descriptor, type: number) => number = library.func(
  'int setns(int descriptor, int type)',
);
const libcUnshare: (flags: number) => number = library.func('int unshare(int flags)');
const libcFchdir: (descriptor: Descriptor) => number = library.func('int fchdir(int descriptor)');
const libcIoctl: (descriptor: Descriptor, request: number) => number = library.func(
  'int ioctl(int descriptor, unsigned long request)',
);

/** A NUL would end the C string early, and the kernel would see another path than the one that was judged. */
function cString(text: string, syscall: string): string {
  if (text.includes('\0')) throw new SystemCallError(syscall, 22, `${JSON.stringify(text)} contains a NUL`);
  return text;
}

function checked(result: number, syscall: string, subject: string): number {
  if (result < 0) throw new SystemCallError(syscall, koffi.errno(), subject);
  return result;
}

/** open_tree(2). Returns a descriptor that the caller closes. */
export function openTree(directory: Descriptor, path: string, flags: number, subject: string): Descriptor {
  const name = cString(path, 'open_tree');
  return checked(syscallOpenTree(numbers.open_tree, directory, name, flags), 'open_tree', subject);
}

/** move_mount(2). */
export function moveMount(
  from: { readonly directory: Descriptor; readonly path: string },
  to: { readonly directory: Descriptor; readonly path: string },
  flags: number,
  subject: string,
): void {
  const source = cString(from.path, 'move_mount');
  const target = cString(to.path, 'move_mount');
  const result = syscallMoveMount(numbers.move_mount, from.directory, source, to.directory, target, flags);
  checked(result, 'move_mount', subject);
}

/** mount_setattr(2) with a `struct mount_attr`. */
export function mountSetattr(
  directory: Descriptor,
  path: string,
  flags: number,
  attributes: Buffer,
  subject: string,
): void {
  const name = cString(path, 'mount_setattr');
  const result = syscallWithStructure(
    numbers.mount_setattr,
    directory,
    name,
    flags,
    attributes,
    attributes.length,
  );
  checked(result, 'mount_setattr', subject);
}

/** openat2(2) with a `struct open_how`. Returns a descriptor that the caller closes. */
export function openat2(directory: Descriptor, path: string, how: Buffer, subject: string): Descriptor {
  const name = cString(path, 'openat2');
  return checked(syscallOpenat2(numbers.openat2, directory, name, how, how.length), 'openat2', subject);
}

/** mount(2). */
export function mount(
  source: string,
  target: string,
  type: string | null,
  flags: number,
  data: string | null,
  subject: string,
): void {
  for (const text of [source, target, type, data]) if (text !== null) cString(text, 'mount');
  checked(libcMount(source, target, type, flags, data), 'mount', subject);
}

/** umount2(2). */
export function umount2(target: string, flags: number): void {
  checked(libcUmount2(cString(target, 'umount'), flags), 'umount', target);
}

/** setfsuid(2): of the calling thread. It never fails visibly; it returns the previous id. */
export function setfsuid(id: number): number {
  return libcSetfsuid(id);
}

/** setfsgid(2): of the calling thread. It never fails visibly; it returns the previous id. */
export function setfsgid(id: number): number {
  return libcSetfsgid(id);
}

/** capget(2): fills `data` with the calling thread's sets. */
export function capget(header: Buffer, data: Buffer): void {
  checked(libcCapget(header, data), 'capget', 'the capabilities of this thread');
}

/** capset(2): of the calling thread. */
export function capset(header: Buffer, data: Buffer): void {
  checked(libcCapset(header, data), 'capset', 'the capabilities of this thread');
}

/** setns(2): of the calling thread. */
export function setns(descriptor: Descriptor, type: number, subject: string): void {
  checked(libcSetns(descriptor, type), 'setns', subject);
}

/** unshare(2): of the calling thread. */
export function unshare(flags: number): void {
  checked(libcUnshare(flags), 'unshare', 'this thread');
}

/** fchdir(2): of the calling thread, and of those that share its working folder. */
export function fchdir(descriptor: Descriptor, subject: string): void {
  checked(libcFchdir(descriptor), 'fchdir', subject);
}

/** ioctl(2) without an argument that returns a descriptor or a number. */
export function ioctl(descriptor: Descriptor, request: number, name: string, subject: string): number {
  return checked(libcIoctl(descriptor, request), `ioctl ${name}`, subject);
}

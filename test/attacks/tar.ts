/**
 * Writes tar archives with whatever an attacker would put into them: owners, setuid bits, devices, links, names that
 * climb. POSIX ustar headers.
 */
import { z } from 'zod';

export const tarEntrySchema = z.strictObject({
  name: z.string(),
  /** ustar type: 0 file, 1 hard link, 2 symbolic link, 4 block device, 5 folder. */
  type: z.enum(['0', '1', '2', '4', '5']).default('0'),
  mode: z.string().default('0644'),
  uid: z.number().int().default(0),
  link: z.string().default(''),
  text: z.string().default(''),
});
export type TarEntry = z.infer<typeof tarEntrySchema>;

const block = 512;

export function tarArchive(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap(entryBlocks), Buffer.alloc(2 * block)]);
}

function entryBlocks(entry: TarEntry): readonly Buffer[] {
  const content = Buffer.from(entry.text);
  const header = Buffer.alloc(block);
  header.write(entry.name, 0, 100);
  header.write(entry.mode.padStart(7, '0'), 100);
  header.write(octal(entry.uid, 7), 108);
  header.write(octal(entry.uid, 7), 116);
  header.write(octal(content.length, 11), 124);
  header.write(octal(0, 11), 136);
  header.write(entry.type, 156);
  header.write(entry.link, 157, 100);
  header.write('ustar\u000000', 257);
  // Device 8:0, the first disk.
  header.write(octal(entry.type === '4' ? 8 : 0, 7), 329);
  header.write(octal(0, 7), 337);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148);
  const padding = Buffer.alloc((block - (content.length % block)) % block);
  return [header, content, padding];
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

/** Archives that are copied into a stopped container reach the engine unpacked, however they came. */
import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { copiedArchiveJudgeFor } from '../../src/registry/copied-archive.js';
import { defaultSettings } from '../../src/settings/schema.js';

const content = Buffer.from('an archive, as far as this test cares. '.repeat(20_000));

/** Sends a body in pieces; what the engine would get, and why the rest was refused. */
async function sent(
  body: Buffer,
  pieceLength: number,
): Promise<{ got: Buffer; refused: string | undefined }> {
  const judge = copiedArchiveJudgeFor(defaultSettings);
  if (judge === undefined) throw new Error('isolation is on, and nobody judges');
  const got: Uint8Array[] = [];
  judge.replaceWith?.(async (piece) => {
    await new Promise((resolve) => setImmediate(resolve));
    got.push(piece);
  });
  let refusal: Awaited<ReturnType<typeof judge.end>>;
  for (let at = 0; at < body.length && refusal === undefined; at += pieceLength) {
    refusal = await judge.chunk(body.subarray(at, at + pieceLength));
  }
  refusal ??= await judge.end();
  judge.close();
  return { got: Buffer.concat(got), refused: refusal?.text };
}

test.each([1 << 16, 7])('gzip is unpacked, in pieces of %i bytes', async (pieceLength) => {
  const { got, refused } = await sent(gzipSync(content), pieceLength);
  expect(refused).toBeUndefined();
  expect(got.equals(content)).toBe(true);
});

test('xz is unpacked', async () => {
  const packed = execFileSync('xz', ['--stdout'], { input: content });
  expect((await sent(packed, 4096)).got.equals(content)).toBe(true);
});

test.each([0, 3, 512])('a plain archive of %i bytes goes on as it came', async (length) => {
  const plain = content.subarray(0, length);
  expect((await sent(plain, 100)).got.equals(plain)).toBe(true);
});

test.each([
  ['damaged', Buffer.concat([gzipSync(content).subarray(0, 200), Buffer.alloc(500, 1)])],
  ['cut off', gzipSync(content).subarray(0, 300)],
  ['damaged xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1, 2, 3, 4, 5, 6])],
])('what is %s is refused', async (_title, body) => {
  expect((await sent(body, 64)).refused).toContain("the archive can't be unpacked");
});

test('where it can only go on as it came, what is packed is refused', async () => {
  const judge = copiedArchiveJudgeFor(defaultSettings);
  expect(judge?.replaces).toBe(false);
  expect((await judge?.chunk(gzipSync(content)))?.text).toContain('send it plain');
  expect(await copiedArchiveJudgeFor(defaultSettings)?.chunk(content)).toBeUndefined();
});

test('what is seen from the beginning to be plain needs no judge', () => {
  const judges = (begin: Buffer) => copiedArchiveJudgeFor(defaultSettings, begin) !== undefined;
  expect(judges(content.subarray(0, 10))).toBe(false);
  expect(judges(gzipSync(content).subarray(0, 10))).toBe(true);
  expect(judges(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0, 0, 0, 0]))).toBe(true);
  // Too little to tell the packing by.
  expect(judges(content.subarray(0, 9))).toBe(true);
});

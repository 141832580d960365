/**
 * The attack cases: test/attacks/cases/*.json, each a request as it is sent, byte for byte, and what must come of it.
 * `{name}` stands for what the stage prepared: a folder, a container's id, a socket.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { tarArchive, tarEntrySchema } from './tar.js';

/** A body that isn't written out in the case. */
const contentSchema = z.union([
  z.strictObject({ tar: z.array(tarEntrySchema) }),
  z.strictObject({ gzip: z.string() }),
  z.strictObject({ nested: z.number().int() }),
]);

const caseSchema = z.strictObject({
  id: z.string().regex(/^[a-z]+-\d{3}$/),
  title: z.string(),
  method: z.string(),
  /** Request target as sent. */
  path: z.string(),
  headers: z.record(z.string(), z.string()).default({}),
  /** A JSON value is sent as JSON, a string as it is. */
  body: z.json().optional(),
  content: contentSchema.optional(),
  /** Sent in chunks instead of with a length. */
  chunked: z.boolean().default(false),
  /** Header lines as they are, instead of those that body and content would get. */
  lines: z.array(z.string()).optional(),
  /** Bytes sent right behind the request. */
  pipelined: z.string().optional(),
  /**
   * `refused`: an error, and nothing changed; `neutralised`: refused, or carried out without what was dangerous;
   * `allowed`: carried out.
   */
  expected: z.enum(['refused', 'neutralised', 'allowed']),
  /** Which socket it is sent to: the proxy's, or past it to the engine's own. */
  socket: z.enum(['proxy', 'engine']).default('proxy'),
  /** The engine itself may fail: it would need a registry or a swarm. Only a refusal of ours counts. */
  engineMayFail: z.boolean().default(false),
  /** Part of the words that the client must get when it is refused. */
  says: z.string().optional(),
  why: z.string(),
  source: z.string(),
});
export type AttackCase = Readonly<z.infer<typeof caseSchema>>;

/** Every case, by file. */
export function attackCases(): readonly (readonly [string, readonly AttackCase[]])[] {
  const folder = join(import.meta.dirname, 'cases');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => [
      basename(name, '.json'),
      z.array(caseSchema).parse(JSON.parse(readFileSync(join(folder, name), 'utf8'))),
    ]);
}

/** The request's bytes, with the stage's names filled in. */
export function requestBytes(attack: AttackCase, names: Readonly<Record<string, string>>): Buffer {
  const fill = (text: string) => text.replace(/\{(\w+)\}/g, (whole, name: string) => names[name] ?? whole);
  const body = bodyBytes(attack, fill);
  const head = [
    `${attack.method} ${fill(attack.path)} HTTP/1.1`,
    'Host: docker',
    ...Object.entries(attack.headers).map(([name, value]) => `${name}: ${fill(value)}`),
    ...(attack.lines ?? framing(attack, body)),
  ];
  const framed = attack.chunked ? chunk(body) : body;
  return Buffer.concat([
    Buffer.from(`${head.join('\r\n')}\r\n\r\n`),
    framed,
    Buffer.from(fill(attack.pipelined ?? '')),
  ]);
}

function framing(attack: AttackCase, body: Buffer): readonly string[] {
  if (attack.chunked) return ['Transfer-Encoding: chunked'];
  return body.length > 0 || attack.method !== 'GET' ? [`Content-Length: ${body.length}`] : [];
}

function chunk(body: Buffer): Buffer {
  const size = Buffer.from(`${body.length.toString(16)}\r\n`);
  return Buffer.concat([size, body, Buffer.from('\r\n0\r\n\r\n')]);
}

function bodyBytes({ body, content }: AttackCase, fill: (text: string) => string): Buffer {
  if (content !== undefined) {
    if ('tar' in content) return tarArchive(content.tar);
    if ('gzip' in content) return gzipSync(Buffer.from(fill(content.gzip)));
    const deep = '['.repeat(content.nested) + ']'.repeat(content.nested);
    return Buffer.from(`{"Image":"alpine","Labels":${deep}}`);
  }
  if (body === undefined) return Buffer.alloc(0);
  return Buffer.from(fill(typeof body === 'string' ? body : JSON.stringify(body)));
}

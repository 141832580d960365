/**
 * Finds out which request a docker command would send, by running it against a socket of our own that answers nothing
 * but the questions a client asks first. It must never let anything reach an engine.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A request as the client sent it. */
export interface CapturedRequest {
  readonly method: string;
  /** Path with version and query. */
  readonly target: string;
  readonly body: Buffer;
}

/** The command sent nothing that changes anything, or couldn't be run. */
export class NothingCaptured extends Error {
  readonly code = 'COFFERDAM_NOTHING_TO_EXPLAIN';
}

const bodyLimit = 4 << 20;

/**
 * The first request of a docker command that would change something.
 * @param command the words of the command line, `docker` first
 * @param apiVersion what the engine would offer
 * @throws NothingCaptured
 */
export async function captureRequest(
  command: readonly string[],
  apiVersion: string,
  environment: NodeJS.ProcessEnv,
): Promise<CapturedRequest> {
  const [program = 'docker', ...words] = command;
  const folder = mkdtempSync(join(tmpdir(), 'cofferdam-explain-'));
  const socket = join(folder, 'docker.sock');
  const captured: CapturedRequest[] = [];
  const server = createServer((request, response) => {
    void answer(request, response, apiVersion, captured);
  });
  try {
    await listen(server, socket);
    const said = await run(program, words, { ...environment, DOCKER_HOST: `unix://${socket}` });
    const [first] = captured;
    if (first === undefined) throw new NothingCaptured(`${command.join(' ')} would change nothing: ${said}`);
    return first;
  } finally {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function listen(server: Server, socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  apiVersion: string,
  captured: CapturedRequest[],
): Promise<void> {
  const { method = 'GET', url: target = '/' } = request;
  response.setHeader('Content-Type', 'application/json');
  response.setHeader('Api-Version', apiVersion);
  response.setHeader('Ostype', 'linux');
  if (target.endsWith('/_ping')) return void response.end('OK');
  if (method === 'GET' || method === 'HEAD') return refuse(response, 404, `no such object: ${target}`);
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    if (size <= bodyLimit) parts.push(bytes);
  }
  captured.push({ method, target, body: Buffer.concat(parts) });
  refuse(response, 400, 'cofferdam explain: nothing was sent to an engine');
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.statusCode = status;
  response.end(JSON.stringify({ message }));
}

/** Runs the command to its end; what it said on standard error. */
function run(program: string, words: readonly string[], environment: NodeJS.ProcessEnv): Promise<string> {
  const { DOCKER_CONTEXT: _context, DOCKER_TLS_VERIFY: _tls, ...rest } = environment;
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...words], { env: rest, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.once('error', (error) => reject(new NothingCaptured(`${program} can't be run: ${error.message}`)));
    child.once('close', () => resolve(said.trim()));
  });
}

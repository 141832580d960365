/** HTTP/2 with an engine that speaks it without an upgrade. It must never go on with one that doesn't. */
import { EngineHttp2 } from './engine-http2.js';
import { ProxyError } from './errors.js';
import type { TunnelEnd } from './tunnel-end.js';

/**
 * A connection to an engine that speaks HTTP/2 without an upgrade. Whether it does is asked of itself each time: of the
 * 29 series only 29.2 and later do, and nothing in `/_ping`, `/version` or `/info` tells.
 * @param end a new connection, on which nothing was sent
 * @throws ProxyError (rejects) when the engine answers otherwise, or can't be reached
 */
export function openPriorKnowledge(end: TunnelEnd): Promise<EngineHttp2> {
  return new Promise((resolve, reject) => {
    end.socket.once('error', (cause) => reject(away(`can't be reached: ${cause.message}`, cause)));
    const upstream = new EngineHttp2(end);
    upstream.watch({
      ready: () => resolve(upstream),
      closed: () => reject(end.socket.bytesRead > 0 ? unserved() : away('ended the connection')),
    });
    upstream.start();
  });
}

function away(what: string, cause?: Error): ProxyError {
  return new ProxyError('COFFERDAM_ENGINE_AWAY', `the Docker engine ${what}`, { cause });
}

function unserved(): ProxyError {
  const advice = 'POST /grpc with an Upgrade to h2c reaches its BuildKit (docker build and buildx use it)';
  return new ProxyError(
    'COFFERDAM_HTTP_VERSION',
    `this Docker Engine does not serve HTTP/2 without an upgrade, which 29.2 and later do; ${advice}`,
  );
}

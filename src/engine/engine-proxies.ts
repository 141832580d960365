/**
 * How dockerd is told of a proxy for its own connections: `proxies` in daemon.json since 23.0, the environment before
 * that (docs.docker.com, "Daemon proxy configuration"). Pure.
 */

/** `proxies` of daemon.json. Neither it nor the environment is read again by a running dockerd. */
export interface EngineProxies {
  readonly 'http-proxy': string;
  readonly 'https-proxy': string;
  readonly 'no-proxy': string;
}

/** Everything goes through the proxy. `localhost` never does, and an empty list would leave NO_PROXY in force. */
export function engineProxies(port: number): EngineProxies {
  const address = proxyAddress(port);
  return { 'http-proxy': address, 'https-proxy': address, 'no-proxy': 'localhost' };
}

/** The same as environment variables. Go reads the upper-case names first. */
export function proxyEnvironment(port: number): Readonly<Record<string, string>> {
  const address = proxyAddress(port);
  return { HTTP_PROXY: address, HTTPS_PROXY: address, NO_PROXY: 'localhost' };
}

/** The proxy's address as `GET /info` shows it. */
export function proxyAddress(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** True for what {@link engineProxies} gives, with whatever port. */
export function ownProxies(proxies: Readonly<Record<string, unknown>>): boolean {
  const port = Number(/^http:\/\/127\.0\.0\.1:(\d+)$/.exec(String(proxies['http-proxy']))?.[1]);
  const own = Object.entries(engineProxies(port));
  return Object.keys(proxies).length === own.length && own.every(([key, value]) => proxies[key] === value);
}

/** The peers beside us: Debian's haproxy and nginx, configured as they are usually put before a Docker socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { untilAnswering } from '../src/engine/embedded/run.js';
import { peerCommand } from './peer-programs.js';
import { processTree } from './process-cost.js';

export interface RunningPeer {
  readonly name: string;
  readonly socket: string;
  pids(): number[];
  stop(): void;
}

type Configuration = (listen: string, engine: string, folder: string) => string;

/**
 * The settings of Tecnativa's docker-socket-proxy, without its lists of allowed paths, and for more connections: haproxy
 * keeps an event stream open after its client has gone, so that theirs, 3,000, would be used up by the benchmark.
 */
function haproxy(connections: 'option http-server-close' | 'option http-keep-alive'): Configuration {
  return (listen, engine) => `
global
  maxconn 8000
defaults
  mode http
  ${connections}
  option redispatch
  retries 3
  timeout http-request 10s
  timeout queue 1m
  timeout connect 10s
  timeout client 10m
  timeout server 10m
  timeout http-keep-alive 10s
  timeout tunnel 10m
  maxconn 6000
backend engine
  server engine unix@${engine}
frontend docker
  bind unix@${listen} mode 600
  default_backend engine
`;
}

const nginx: Configuration = (listen, engine, folder) => `
user root;
daemon off;
worker_processes 1;
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  map $http_upgrade $connection_header { default upgrade; '' ''; }
  upstream engine { server unix:${engine}; keepalive 64; keepalive_requests 100000000; }
  server {
    listen unix:${listen};
    client_max_body_size 0;
    keepalive_requests 100000000;
    location / {
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_header;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 1h;
      proxy_send_timeout 1h;
    }
  }
}
`;

/** What a peer is called in the tables. */
export const peerNames = {
  tecnativa: 'haproxy (Tecnativa)',
  haproxy: 'haproxy keep-alive',
  nginx: 'nginx',
} as const;

const peers: {
  name: string;
  program: 'haproxy' | 'nginx';
  argv: (file: string) => string[];
  configuration: Configuration;
}[] = [
  {
    name: peerNames.tecnativa,
    program: 'haproxy',
    argv: (file) => ['-q', '-db', '-f', file],
    configuration: haproxy('option http-server-close'),
  },
  {
    name: peerNames.haproxy,
    program: 'haproxy',
    argv: (file) => ['-q', '-db', '-f', file],
    configuration: haproxy('option http-keep-alive'),
  },
  {
    name: peerNames.nginx,
    program: 'nginx',
    argv: (file) => ['-e', 'stderr', '-c', file],
    configuration: nginx,
  },
];

/** Starts every peer in front of an engine's socket. */
export async function startPeers(engine: string, folder: string): Promise<RunningPeer[]> {
  const running: RunningPeer[] = [];
  for (const { name, program, argv, configuration } of peers) {
    const [command = program, ...words] = await peerCommand(program);
    const own = join(folder, name.replaceAll(/\W/g, ''));
    mkdirSync(own, { recursive: true });
    const socket = join(own, 'docker.sock');
    writeFileSync(join(own, 'conf'), configuration(socket, engine, own));
    const child: ChildProcess = spawn(command, [...words, ...argv(join(own, 'conf'))], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const failure = await untilAnswering(socket, 10_000);
    if (failure) {
      for (const peer of running) peer.stop();
      child.kill('SIGTERM');
      throw new Error(`${name}: ${failure}`);
    }
    running.push({
      name,
      socket,
      pids: () => processTree(child.pid ?? 0),
      stop: () => child.kill('SIGTERM'),
    });
  }
  return running;
}

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { supervise } from '../../src/system/supervisor.js';

const folder = mkdtempSync('/var/tmp/cofferdam-notify-');
let child: ChildProcess | undefined;
afterEach(() => child?.kill());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** systemd's side: a datagram socket that prints every message in one line. Node.js can't open one. */
const receiver = `
use Socket; $| = 1;
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die; bind($s, pack_sockaddr_un($ARGV[0])) or die;
print "bound\\n";
while (defined recv($s, my $message, 4096, 0)) { $message =~ s/\\n/ /g; print "$message\\n"; }
`;

it('tells readiness, life signs and the end', async () => {
  const path = join(folder, 'notify');
  child = spawn('perl', ['-e', receiver, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout?.on('data', (chunk) => {
    out += chunk;
  });
  const until = async (pattern: RegExp) => {
    while (!pattern.test(out)) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await until(/bound/);
  const supervision = supervise({ NOTIFY_SOCKET: path, WATCHDOG_USEC: '40000' });
  supervision.ready('serves /run/docker.sock');
  await until(/(WATCHDOG=1\n){2}/);
  supervision.close();
  supervision.stopping();
  await until(/STOPPING=1/);
  expect(out).toMatch(/^bound\nREADY=1 STATUS=serves \/run\/docker\.sock\nWATCHDOG=1\n/);
});

it('does nothing without systemd, nor when systemd is gone', () => {
  for (const environment of [{}, { NOTIFY_SOCKET: join(folder, 'nobody') }]) {
    const supervision = supervise(environment);
    supervision.ready('x');
    supervision.stopping();
    supervision.close();
  }
});

import { mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isBoundTo, unixSockets } from '../../src/system/unix-sockets.js';

it('knows a listening socket and its connections by the file, whatever the file is called now', async () => {
  const folder = mkdtempSync('/var/tmp/cofferdam-sockets-');
  const [before, after] = [join(folder, 'before.sock'), join(folder, 'after.sock')];
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(before, resolve));
  renameSync(before, after);
  const client = connect(after);
  await new Promise((resolve) => client.once('connect', resolve));
  const { dev: device, ino: inode } = statSync(after, { bigint: true });

  const all = unixSockets();
  const here = all.filter((socket) => isBoundTo(socket, { device, inode }));
  expect(here.filter(({ listening }) => listening)).toHaveLength(1);
  const [accepted] = here.filter(({ listening }) => !listening);
  const peer = all.find((socket) => socket.inode === accepted?.peer);
  expect(peer).toMatchObject({ listening: false, peer: accepted?.inode });
  expect(all.filter((socket) => isBoundTo(socket, { device, inode: inode + 1n }))).toEqual([]);

  client.destroy();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

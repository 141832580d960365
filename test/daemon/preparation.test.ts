import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PreparationWatch } from '../../src/daemon/preparation.js';
import { engineRuntimes } from '../../src/engine/registration.js';

const launcher = '/var/lib/cofferdam/bin/cofferdam-runtime';

it('does not take an answer for new that the engine had begun before its reload', async () => {
  const folder = mkdtempSync('/var/tmp/cofferdam-preparation-');
  const socket = join(folder, 'docker.sock');
  // As dockerd: whoever asks while an answer is under way gets that one, as the engine was when it was begun.
  let runtimes: Record<string, { path: string }> = {};
  let underWay: { answer: string; waiting: ServerResponse[] } | undefined;
  let hold = true;
  const finish = () => {
    for (const response of underWay?.waiting ?? []) response.end(underWay?.answer);
    underWay = undefined;
  };
  const engine = createServer((_, response) => {
    underWay ??= {
      answer: JSON.stringify({ DefaultRuntime: Object.keys(runtimes)[0], Runtimes: runtimes }),
      waiting: [],
    };
    underWay.waiting.push(response);
    if (!hold) finish();
    engine.emit('asked');
  }).listen(socket);
  await once(engine, 'listening');
  const watch = new PreparationWatch(socket, launcher, () => undefined);
  try {
    const other = engineRuntimes(socket);
    await once(engine, 'asked');
    runtimes = { 'sysbox-runc': { path: launcher } };
    const refreshed = watch.refresh();
    await once(engine, 'asked');
    hold = false;
    finish();
    expect((await other).paths.size).toBe(0);
    expect(await refreshed).toBe(true);
    expect(watch.current).toMatchObject({ runtime: true, defaultRuntime: true });
  } finally {
    watch.close();
    engine.close();
    rmSync(folder, { recursive: true });
  }
});

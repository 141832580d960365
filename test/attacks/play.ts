/**
 * Plays every attack on a real engine behind the real proxy, and judges by the effect: nothing on the host was read,
 * written or run beyond the caller's own rights, and what is allowed works.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { EngineVersion } from '../support/engines.js';
import { type AttackCase, attackCases, requestBytes } from './case.js';
import type { RawAnswer } from './sender.js';
import { caller, namespaceOf, Stage, uidMap } from './stage.js';
import { Observer, strayFiles, type World } from './world.js';

/** Declares the tests of one engine. */
export function playAttacks(version: EngineVersion, store: 'overlay2' | 'containerd' = 'overlay2'): void {
  describe(`on engine ${version}, ${store}`, () => {
    let stage: Stage;
    let observer: Observer;
    let before: World;

    beforeAll(async () => {
      stage = await Stage.open(version, store);
      observer = new Observer(stage);
    });
    beforeEach(async () => {
      before = await observer.look();
    });
    afterAll(async () => {
      await observer?.close();
      await stage?.close();
    });

    describe.each(attackCases())('%s', (_file, cases) => {
      test.each(cases)('$id: $title', async (attack) => {
        const socket = attack.socket === 'engine' ? stage.engine.socket : stage.cofferdam.socket;
        const answer = await stage.sender.send(socket, attack.method, requestBytes(attack, stage.names));
        const after = await observer.look();
        try {
          await judge(attack, answer, after);
        } finally {
          await observer.restore(before);
        }
        expect(stage.cofferdam.pid, 'the daemon must live on').toBeDefined();
      });
    });

    async function judge(attack: AttackCase, answer: RawAnswer, after: World): Promise<void> {
      expect(after.host, 'the host').toEqual(before.host);
      expect(strayFiles(join(stage.names['home'] ?? '', 'work'), caller.uid)).toEqual([]);
      const refused = answer.status >= 400 || answer.status === 0;
      const says = answer.text.slice(0, 2000);
      if (attack.expected === 'refused') {
        expect(refused, says).toBe(true);
        if (attack.says !== undefined) expect(says).toContain(attack.says);
        expect(after, 'the engine').toEqual(before);
        return;
      }
      if (attack.expected === 'allowed') {
        const ours = /enhanced container isolation|restricted by your administrators|image access denied/;
        if (attack.engineMayFail) expect(says).not.toMatch(ours);
        else expect(refused, says).toBe(false);
      }
      const made = [...after.containers.keys()].filter((id) => !before.containers.has(id));
      for (const id of made) await checkContainer(id, attack.expected === 'allowed' && !attack.engineMayFail);
    }

    /** Whatever was asked for: the container has its own namespaces, its own range and none of the host's power. */
    async function checkContainer(id: string, mustStart: boolean): Promise<void> {
      const created = await observer.client.get(`/containers/${id}/json`, inspected);
      expect(created.HostConfig).toMatchObject({
        Runtime: 'sysbox-runc',
        UsernsMode: '',
        CgroupnsMode: 'private',
      });
      const [started, stderr] = await start(id);
      if (mustStart) expect(started, stderr).toBe(true);
      if (!started) return;
      const { State } = await observer.client.get(`/containers/${id}/json`, inspected);
      if (State.Pid === 0) return;
      const map = uidMap(State.Pid);
      // A container without a command may have come to its end.
      if (map === undefined) return;
      expect(map).toMatch(/^0 [1-9]\d{5,} 65536$/);
      for (const namespace of ['user', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'mnt']) {
        const inside = namespaceOf(State.Pid, namespace);
        const outside = namespaceOf('self', namespace);
        if (inside === undefined) return;
        expect(inside, namespace).not.toBe(outside);
      }
      await checkPower(id);
    }

    async function start(id: string): Promise<readonly [boolean, string]> {
      const result = await stage.engine.docker('start', id);
      return [result.code === 0, result.stderr];
    }

    /** From inside, as root of the container. */
    async function checkPower(id: string): Promise<void> {
      const script = [
        'cat /proc/1/root/etc/shadow-of-the-host /w/secret/canary 2>/dev/null',
        'echo 1 2>/dev/null > /proc/sys/kernel/panic && echo wrote-kernel-setting',
        'mknod /tmp/disk b 8 0 2>/dev/null && cat /tmp/disk 2>/dev/null | head -c 1 | grep -q . && echo read-disk',
        'head -c 1 /dev/mem 2>/dev/null | grep -q . && echo read-memory',
        'for file in /s /w /e /d; do cat $file 2>/dev/null; done',
      ].join('; ');
      const { stdout } = await stage.engine.docker('exec', id, 'sh', '-c', script);
      expect(stdout).not.toMatch(/wrote-kernel-setting|read-disk|read-memory|only root reads this|of Bob/);
    }
  });
}

const inspected = z.object({
  State: z.object({ Pid: z.number() }),
  HostConfig: z.looseObject({}),
});

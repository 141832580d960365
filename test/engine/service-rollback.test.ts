/**
 * `docker service rollback` on real swarms of one: it does what the engine alone does, and a specification that was
 * never judged doesn't come back by it, whoever changes the service meanwhile.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EngineClient } from '../../src/engine/client.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';

const serviceSchema = z.object({
  ID: z.string(),
  Version: z.object({ Index: z.number() }),
  Spec: z.looseObject({
    TaskTemplate: z.looseObject({
      ContainerSpec: z.looseObject({
        Env: z.array(z.string()).nullish(),
        Mounts: z.array(z.unknown()).nullish(),
      }),
    }),
  }),
  UpdateStatus: z.looseObject({ Message: z.string().optional() }).optional(),
});
type Service = z.infer<typeof serviceSchema>;

describe.each(['20.10', '26.1', '28.5'] as const)('engine %s', (version) => {
  let engine: Engine;
  let cofferdam: Cofferdam;
  let direct: EngineClient;
  let through: EngineClient;

  beforeAll(async () => {
    engine = await startIsolatingEngine({ version, network: true });
    cofferdam = await startCofferdam({ engine });
    direct = new EngineClient(engine.socket);
    through = new EngineClient(cofferdam.socket);
    await importBusybox(engine.cli);
    await engine.cli.must('swarm', 'init', '--advertise-addr', '127.0.0.1');
  });

  afterAll(async () => {
    await through?.close();
    await direct?.close();
    await cofferdam?.close();
    await engine?.stop();
  });

  const look = (name: string): Promise<Service> => direct.get(`/services/${name}`, serviceSchema);
  const task = ({ Spec }: Service) => Spec.TaskTemplate.ContainerSpec;
  const unasked = ['--detach', '--no-resolve-image'] as const;

  /** A service without tasks: what comes of its specification is other tests' matter. */
  async function makeService(name: string, ...more: string[]): Promise<void> {
    await engine.cli.must(
      'service',
      'create',
      ...unasked,
      '--replicas=0',
      '--name',
      name,
      ...more,
      'busybox',
    );
  }

  test('goes back and forth as the engine alone does', async () => {
    for (const [name, cli] of [
      ['alone', engine.cli],
      ['behind', cofferdam.cli],
    ] as const) {
      await cli.must('service', 'create', ...unasked, '--replicas=0', '--name', name, '--env=A=1', 'busybox');
      await cli.must('service', 'update', ...unasked, '--env-add=A=2', '--limit-memory=64m', name);
      await cli.must('service', 'rollback', '--detach', name);
    }
    const [alone, behind] = [await look('alone'), await look('behind')];
    expect(task(behind).Env).toEqual(['A=1']);
    expect({ ...behind.Spec, Name: '' }).toEqual({ ...alone.Spec, Name: '' });
    expect(behind.UpdateStatus?.Message).toBe(alone.UpdateStatus?.Message);
    await cofferdam.cli.must('service', 'update', '--detach', '--rollback', behind.ID.slice(0, 12));
    expect(task(await look('behind')).Env).toEqual(['A=2']);
  });

  test('what can’t be rolled back is refused in the engine’s own words', async () => {
    await makeService('fresh', '--env=A=1');
    for (const name of ['fresh', 'nowhere']) {
      const [theirs, ours] = [
        await engine.docker('service', 'rollback', name),
        await cofferdam.docker('service', 'rollback', name),
      ];
      expect([ours.code, ours.stderr]).toEqual([theirs.code, theirs.stderr]);
    }
    const early = async (): Promise<unknown[]> => {
      const { Version, Spec } = await look('fresh');
      const calls = [-1, 1].flatMap((change) => {
        const query = { version: String(Version.Index + change), rollback: 'previous' };
        return [direct, through].map((side) =>
          side.call('POST', '/services/fresh/update', { query, body: Spec }),
        );
      });
      const [before, beforeHere, after, afterHere] = await Promise.all(calls);
      expect([beforeHere, afterHere].map((answer) => answer?.status)).toEqual(
        [before, after].map((answer) => answer?.status),
      );
      return [before, beforeHere, after, afterHere].map((answer) => answer?.text);
    };
    for (const text of await early()) expect(text).toContain('does not have a previous spec');
    await engine.cli.must('service', 'update', ...unasked, '--env-add=A=2', 'fresh');
    for (const text of await early()) expect(text).toContain('update out of sequence');
    expect(task(await look('fresh')).Env).toEqual(['A=2']);
  });

  test('a specification that was made past cofferdam doesn’t come back', async () => {
    await makeService('mounts', '--mount=type=bind,source=/,target=/host');
    await cofferdam.cli.must('service', 'update', ...unasked, '--mount-rm=/host', 'mounts');
    expect(task(await look('mounts')).Mounts ?? []).toEqual([]);
    const refused = await cofferdam.docker('service', 'rollback', '--detach', 'mounts');
    expect(refused.stderr).toContain("a service can't mount / of the host");
    // Whatever the body says: the engine doesn't take it from there.
    const { Version, Spec } = await look('mounts');
    const query = { version: String(Version.Index), rollback: 'previous' };
    const answer = await through.call('POST', '/services/mounts/update', { query, body: Spec });
    expect([answer.status, answer.text]).toEqual([403, expect.stringContaining("can't mount /")]);
    expect(task(await look('mounts')).Mounts ?? []).toEqual([]);
  });

  test('nor in the moment after it was looked at', async () => {
    await makeService('moving', '--env=A=0');
    const plain = (await look('moving')).Spec;
    const bound = structuredClone(plain);
    task({ ...(await look('moving')), Spec: bound }).Mounts = [{ Type: 'bind', Source: '/', Target: '/h' }];
    const update = async (body: object, rollback?: string): Promise<number> => {
      const { Version } = await look('moving');
      const query = { version: String(Version.Index), ...(rollback === undefined ? {} : { rollback }) };
      const side = rollback === undefined ? direct : through;
      return (await side.call('POST', '/services/moving/update', { query, body })).status;
    };
    const tries = Array.from({ length: 40 }, (_, index) => index);
    for (const index of tries) {
      // Harmless on harmless, so that a rollback passes its rules; the host's root on its way in and out meanwhile.
      await update({ ...plain, Labels: { at: String(index) } });
      await update(plain);
      const rollbacks = tries.slice(0, 4).map(() => update(plain, 'previous'));
      await update(bound);
      await update(plain);
      await Promise.all(rollbacks);
      const now = await look('moving');
      expect(task(now).Mounts ?? [], now.UpdateStatus?.Message).toEqual([]);
    }
  });
});

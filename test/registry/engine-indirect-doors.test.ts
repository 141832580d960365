/**
 * Doors behind which the engine, or a builder, pulls by itself: services and buildx builders; and a registry with TLS
 * and tokens. Through the real daemon; each refused door also with the list off.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CommandResult } from '../../src/engine/embedded/command.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { CountedRegistry } from './registries.js';
import { credentials, TokenRegistry } from './token-registry.js';

const restricted = 'has been restricted by your administrators';

describe.each([['28.5', 'overlay2'] as const, ['28.5', 'containerd'] as const])(
  'engine %s %s',
  (version, store) => {
    let engine: Engine;
    let cofferdam: Cofferdam;
    let good: CountedRegistry;
    let evil: CountedRegistry;
    let tokens: TokenRegistry;

    async function settle(registries: readonly string[] | undefined): Promise<void> {
      const before = cofferdam.log.split('settings changed').length;
      const entries = (registries ?? []).map((address) => ({ address }));
      cofferdam.writeSettings({
        registryAccess: {
          value: registries !== undefined,
          registries: entries,
          urls: [`https://${Math.random()}/`],
        },
      });
      await expect
        .poll(() => cofferdam.log.split('settings changed').length, { timeout: 10_000 })
        .toBeGreaterThan(before);
    }

    beforeAll(async () => {
      good = await CountedRegistry.start();
      evil = await CountedRegistry.start();
      tokens = await TokenRegistry.start();
      engine = await startIsolatingEngine({ version, store, buildx: '0.29' });
      cofferdam = await startCofferdam({ engine, buildx: '0.29' });
      await importBusybox(engine.cli);
      await engine.cli.must('swarm', 'init', '--advertise-addr', '127.0.0.1');
      for (const registry of [good, evil]) {
        await engine.cli.must('tag', 'busybox', `${registry.address}/team/base:1`);
        await engine.cli.must('push', `${registry.address}/team/base:1`);
        await engine.cli.must('rmi', `${registry.address}/team/base:1`);
      }
    });

    afterAll(async () => {
      await cofferdam?.close();
      await engine?.stop();
      for (const registry of [good, evil, tokens]) await registry?.close();
    });

    const service = (...more: string[]) =>
      cofferdam.docker(
        'service',
        'create',
        '--detach',
        '--name',
        'pulls',
        ...more,
        `${evil.address}/team/base:1`,
      );

    test('a service, with and without the client looking for a digest', async () => {
      for (const more of [[], ['--no-resolve-image']]) {
        await settle([good.address]);
        let refused: CommandResult | undefined;
        const contacts = await evil.during(async () => {
          refused = await service(...more);
        });
        expect(contacts).toBe(0);
        expect(refused?.stderr).toContain(restricted);
        await settle(undefined);
        const before = evil.contacts;
        expect((await service(...more)).stderr).not.toContain(restricted);
        await expect.poll(() => evil.contacts, { timeout: 20_000 }).toBeGreaterThan(before);
        await engine.cli.must('service', 'rm', 'pulls');
      }
    });

    test('the image of a docker-container builder', async () => {
      await engine.docker('rmi', '--force', `${evil.address}/team/base:1`);
      const image = `image=${evil.address}/team/base:1`;
      const boot = async () => {
        await cofferdam.docker(
          'buildx',
          'create',
          '--name',
          'own',
          '--driver',
          'docker-container',
          '--driver-opt',
          image,
        );
        // Such an image runs no buildkitd: what matters is who was asked for it.
        const booted = cofferdam.cli.start(['buildx', 'inspect', '--bootstrap', 'own']);
        let said = '';
        booted.stderr.on('data', (piece: Buffer) => {
          said += piece.toString();
        });
        booted.stdout.resume();
        return { booted, said: () => said };
      };
      await settle([good.address]);
      let refused: Awaited<ReturnType<typeof boot>> | undefined;
      const contacts = await evil.during(async () => {
        const { booted, said } = await boot();
        await new Promise((resolve) => booted.on('exit', resolve));
        refused = { booted, said };
      });
      expect(contacts).toBe(0);
      expect(refused?.said()).toMatch(/pulling failed|restricted by your administrators/);
      await cofferdam.docker('buildx', 'rm', '--force', 'own');
      await settle(undefined);
      const before = evil.contacts;
      const { booted } = await boot();
      await expect.poll(() => evil.contacts, { timeout: 20_000 }).toBeGreaterThan(before);
      booted.kill('SIGKILL');
      await cofferdam.docker('buildx', 'rm', '--force', 'own');
    });

    // With the containerd store dockerd doesn't trust a token server by /etc/docker/certs.d.
    if (store === 'overlay2')
      test('TLS by a private authority, and tokens: with and without credentials', async () => {
        const name = `${tokens.address}/open/base:1`;
        const { username, password } = credentials;
        await settle([good.address]);
        const login = ['login', '--username', username, '--password', password, tokens.address];
        expect((await cofferdam.docker(...login)).stderr).toContain(restricted);
        await settle([tokens.address]);
        expect((await cofferdam.docker(...login)).code).toBe(0);
        await cofferdam.cli.must('tag', 'busybox', name);
        await cofferdam.cli.must('push', name);
        await cofferdam.cli.must('logout', tokens.address);
        await cofferdam.cli.must('rmi', name);
        await cofferdam.cli.must('pull', name);
        expect((await cofferdam.docker('push', name)).code).not.toBe(0);
      });
  },
);

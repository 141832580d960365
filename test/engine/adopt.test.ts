/**
 * `cofferdam adopt`: a container from before becomes isolated and loses nothing.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { engineFiles } from '../support/engine-releases.js';
import { type Engine, engineVersions, importBusybox } from '../support/engines.js';
import { parseUidMap } from '../support/uid-map.js';

/** Stopped at once: the first process of a container heeds no other signal. */
const run = ['run', '-d', '--runtime=plain', '--stop-signal=KILL'];

describe.each(engineVersions)('adopting on engine %s', (version) => {
  let engine: Engine;
  let cofferdam: Cofferdam;
  const docker = (...argv: string[]): Promise<string> => engine.cli.must(...argv);
  beforeAll(async () => {
    const plain = join((await engineFiles(version)).bin, 'runc');
    engine = await startIsolatingEngine({ version, network: true, runtimes: { plain } });
    cofferdam = await startCofferdam({ engine });
    await importBusybox(engine.cli);
    for (const network of ['front', 'back']) await docker('network', 'create', network);
  });
  afterAll(async () => {
    await cofferdam?.close();
    await engine?.stop();
  });

  test('keeps files, volumes, networks, limits, labels and the name', async () => {
    await docker(
      ...[...run, '--name=old', '--network=front', '--network-alias=web', '--hostname=here'],
      ...['--label=team=a', '--memory=64m', '--env=KEY=value', '-v', 'named:/named', '-v', '/anonymous'],
      ...['busybox', 'sh', '-c', 'sleep 1000'],
    );
    await docker('network', 'connect', '--alias=second', 'back', 'old');
    await docker(
      'exec',
      'old',
      'sh',
      '-c',
      'for place in / /named /anonymous; do echo kept > $place/letter; done',
    );
    const volumes = '{{range .Mounts}}{{.Name}}:{{.Destination}} {{end}}';
    const before = (await docker('inspect', `--format=${volumes}`, 'old')).trim().split(' ').sort();

    const adopted = await cofferdam.verb('adopt', 'old');
    expect(adopted.stderr).toBe('');
    expect(adopted.stdout).toContain('old is');

    const letters = await docker('exec', 'old', 'cat', '/letter', '/named/letter', '/anonymous/letter');
    expect(letters.split('\n')).toEqual(['kept', 'kept', 'kept']);
    expect(parseUidMap(await docker('exec', 'old', 'cat', '/proc/1/uid_map')).outside).toBeGreaterThanOrEqual(
      100_000,
    );
    expect((await docker('inspect', `--format=${volumes}`, 'old')).trim().split(' ').sort()).toEqual(before);
    const format =
      '{{.HostConfig.Runtime}} {{.Config.Labels.team}} {{.HostConfig.Memory}} {{.Config.Hostname}}';
    expect(await docker('inspect', `--format=${format}`, 'old')).toBe('sysbox-runc a 67108864 here');
    expect(await docker('exec', 'old', 'sh', '-c', 'echo $KEY')).toBe('value');
    const networks = await docker('inspect', '--format={{json .NetworkSettings.Networks}}', 'old');
    expect(Object.keys(JSON.parse(networks)).sort()).toEqual(['back', 'front']);
    expect(networks).toContain('"web"');
    expect(networks).toContain('"second"');
    expect(await docker('ps', '-a', '--format={{.Names}}')).toBe('old');
    await docker('rm', '-fv', 'old');
  });

  test('leaves a container as it was when an isolated one may not be like it', async () => {
    await docker(...run, '--pid=host', '--name=monitor', 'busybox', 'sleep', '1000');
    const id = await docker('inspect', '--format={{.Id}}', 'monitor');
    const { code, stderr } = await cofferdam.verb('adopt', 'monitor');
    expect(code).toBe(1);
    expect(stderr).toContain("can't share namespaces [pid]");
    expect(await docker('inspect', '--format={{.Id}} {{.State.Running}} {{.Name}}', 'monitor')).toBe(
      `${id} true /monitor`,
    );
    expect(await docker('images', '-q', 'cofferdam/adopted')).not.toContain(id.slice(0, 12));
    await docker('rm', '-f', 'monitor');
  });

  const hammer = () =>
    test('finishes what broke off, wherever it did', async () => {
      for (const milliseconds of [250, 400, 550, 700, 900, 1200]) {
        await docker(...run, '--name=broken', 'busybox', 'sleep', '1000');
        await docker('exec', 'broken', 'sh', '-c', 'echo kept > /letter');
        await cofferdam.killVerb(milliseconds, 'adopt', 'broken');
        const { code, stderr } = await cofferdam.verb('adopt', 'broken');
        if (code !== 0) expect(stderr).toContain('isolated already');
        expect(await docker('ps', '-a', '--format={{.Names}}')).toBe('broken');
        expect(await docker('inspect', '--format={{.HostConfig.Runtime}}', 'broken')).toBe('sysbox-runc');
        // Broken off before the new one ran, it was found stopped.
        await docker('start', 'broken');
        expect(await docker('exec', 'broken', 'cat', '/letter')).toBe('kept');
        await docker('rm', '-f', 'broken');
      }
    });
  if (version === engineVersions.at(-1)) hammer();

  test("touches no container of the user's that happens to have such a name", async () => {
    for (const name of ['mine-in-adoption', 'mine-before-adoption']) {
      await cofferdam.cli.must('create', `--name=${name}`, '--network=none', 'busybox', 'true');
    }
    await docker('create', '--runtime=plain', '--name=mine', '--network=none', 'busybox', 'true');
    const { code, stderr } = await cofferdam.verb('adopt', 'mine');
    expect(code).toBe(1);
    expect(stderr).toContain('already in use');
    expect((await docker('ps', '-a', '--format={{.Names}}')).split('\n').sort()).toEqual([
      'mine',
      'mine-before-adoption',
      'mine-in-adoption',
    ]);
    await docker('rm', 'mine', 'mine-before-adoption', 'mine-in-adoption');
  });

  test('says what it cannot do', async () => {
    await cofferdam.cli.must('create', '--name=fine', '--network=none', 'busybox', 'true');
    expect((await cofferdam.verb('adopt', 'fine', 'nobody')).stderr).toMatch(
      /fine: it is isolated already[\s\S]*nobody: /,
    );
    await docker('rm', 'fine');
  });
});

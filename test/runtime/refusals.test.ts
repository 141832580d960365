/**
 * The runtime believes nothing: what wasn't approved, or isn't any more what was approved, isn't started, and the
 * docker command line says why.
 */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { approvalOf, IsolatingEngine } from './support/isolating-engine.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-refusals-'));
  chmodSync(folder, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function newFolder(name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  return path;
}

describe.each([
  ['with the daemon', true],
  ['without it', false],
])('%s', (title, served) => {
  let isolating: IsolatingEngine;
  beforeAll(async () => {
    isolating = await IsolatingEngine.start(
      { version: '26.1', configuration: { experimental: true } },
      served,
    );
  });
  afterAll(() => isolating?.stop());

  /** Starts a container that must not start; what the command line said. */
  async function refusal(id: string): Promise<string> {
    const { code, stderr } = await isolating.engine.docker('start', '--attach', id);
    expect(code).not.toBe(0);
    await isolating.docker('rm', '--force', id);
    expect(readdirSync(join(isolating.runDir, 'runtime/mounts'))).toEqual([]);
    return stderr;
  }

  const create = (...options: string[]): Promise<string> =>
    isolating.docker('create', '--network', 'none', ...options, 'busybox', 'true');
  const source = (name: string): string => newFolder(`${title.replaceAll(' ', '-')}-${name}`);

  test('a bind that nobody approved', async () => {
    const path = source('unapproved');
    expect(await refusal(await create('--volume', `${path}:/mnt`))).toContain(
      `enhanced container isolation: the bind mount of ${path} at /mnt was not approved for this container`,
    );
  });

  test('an approval for another place', async () => {
    const path = source('elsewhere');
    const id = await isolating.createWith(
      [approvalOf(path, '/other')],
      ...['--network', 'none', '--volume', `${path}:/mnt`, 'busybox', 'true'],
    );
    expect(await refusal(id)).toContain('was not approved for this container');
  });

  test('a folder that was exchanged after the approval', async () => {
    const path = source('exchanged');
    const id = await isolating.createWith(
      [approvalOf(path, '/mnt')],
      ...['--network', 'none', '--volume', `${path}:/mnt`, 'busybox', 'true'],
    );
    renameSync(path, `${path}-before`);
    mkdirSync(path);
    expect(await refusal(id)).toContain('is not the file or folder any more that was approved for /mnt');
  });

  test('a symbolic link in the place of the folder', async () => {
    const path = source('linked');
    const id = await isolating.createWith(
      [approvalOf(path, '/mnt')],
      ...['--network', 'none', '--volume', `${path}:/mnt`, 'busybox', 'true'],
    );
    renameSync(path, `${path}-before`);
    symlinkSync('/etc', path);
    expect(await refusal(id)).toContain('there is a symbolic link on the way to');
  });

  test('a volume that shows a host folder', async () => {
    const name = `shows-${served}`;
    await isolating.docker(
      ...['volume', 'create', '--opt', 'type=none', '--opt', 'o=bind', '--opt', 'device=/etc', name],
    );
    expect(await refusal(await create('--volume', `${name}:/mnt`))).toContain('which was not approved');
  });

  test.each([
    [['--pid', 'host'], "sysbox containers can't share namespaces [pid] with the host"],
    [['--uts', 'host'], "sysbox containers can't share namespaces [uts] with the host"],
    [['--ipc', 'host'], "sysbox containers can't share namespaces [ipc] with the host"],
  ])('%j', async (options, words) => {
    expect(await refusal(await create(...options))).toContain(words);
  });

  test("the host's network", async () => {
    const id = await isolating.docker('create', '--network', 'host', 'busybox', 'true');
    expect(await refusal(id)).toContain("sysbox containers can't share a network namespace with the host");
  });

  test('a namespace of a container that is not isolated', async () => {
    const plain = await isolating.docker(
      ...[
        'run',
        '--detach',
        '--runtime',
        'plain',
        '--network',
        'none',
        '--ipc',
        'shareable',
        'busybox',
        'sleep',
        '1000',
      ],
    );
    for (const kind of ['pid', 'ipc', 'network']) {
      const id = await isolating.docker('create', `--${kind}`, `container:${plain}`, 'busybox', 'true');
      expect(await refusal(id)).toContain("with a container that isn't isolated");
    }
    await isolating.docker('rm', '--force', plain);
  });

  test('an annotation that is an instruction to the runtime', async () => {
    const id = await create('--annotation', 'run.oci.keep_original_groups=1');
    expect(await refusal(id)).toContain('the annotation run.oci.keep_original_groups is an instruction');
    const harmless = await create('--annotation', 'org.example.note=hello');
    expect((await isolating.engine.docker('start', '--attach', harmless)).code).toBe(0);
    await isolating.docker('rm', harmless);
  });

  test('a record that can not be believed', async () => {
    const id = await isolating.createWith([], '--network', 'none', 'busybox', 'true');
    writeFileSync(join(isolating.stateDir, 'ledger/containers', id), 'garbage');
    expect(await refusal(id)).toMatch(/ledger|record/);
  });

  test('a range that another container has', async () => {
    const make = () => isolating.createWith([], '--network', 'none', 'busybox', 'true');
    const [other, id] = [await make(), await make()];
    const range = isolating.ledger.read(other)?.range;
    const record = join(isolating.stateDir, 'ledger/containers', id);
    writeFileSync(record, JSON.stringify({ ...isolating.ledger.read(id), range }));
    expect(await refusal(id)).toContain(`the range ${range?.base} belongs to something else`);
    rmSync(record);
    expect((await isolating.engine.docker('start', '--attach', other)).code).toBe(0);
    await isolating.docker('rm', other);
  });

  test('checkpoint', async () => {
    const id = await isolating.docker('run', '--detach', '--network', 'none', 'busybox', 'sleep', '1000');
    const { code, stderr } = await isolating.engine.docker('checkpoint', 'create', id, 'one');
    expect(code).not.toBe(0);
    expect(stderr).toContain('this command is not supported for isolated containers');
    expect(await isolating.docker('inspect', '--format', '{{.State.Status}}', id)).toBe('running');
    await isolating.docker('rm', '--force', id);
  });
});

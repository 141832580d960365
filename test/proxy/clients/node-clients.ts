/** What programs on dockerode do, CI runners among them: each tells what came of it. */
import { PassThrough } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import Docker from 'dockerode';

const offline = { HostConfig: { NetworkMode: 'none' } };

/** Both streams of a multiplexed stream, as text. */
async function demultiplex(
  docker: Docker,
  stream: NodeJS.ReadableStream,
): Promise<{ out: string; err: string }> {
  const out = new PassThrough();
  const err = new PassThrough();
  docker.modem.demuxStream(stream, out, err);
  stream.on('end', () => {
    out.end();
    err.end();
  });
  const [outText, errText] = await Promise.all([text(out), text(err)]);
  return { out: outText, err: errText };
}

/** An ordinary program on dockerode. */
export async function dockerode(socketPath: string): Promise<unknown> {
  const docker = new Docker({ socketPath });
  const container = await docker.createContainer({
    ...offline,
    Image: 'busybox',
    Cmd: ['sh', '-c', 'cat; echo err >&2; exit 6'],
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
  });
  const attached = await container.attach({
    stream: true,
    hijack: true,
    stdin: true,
    stdout: true,
    stderr: true,
  });
  const output = demultiplex(docker, attached);
  await container.start();
  attached.end('input\n');
  const streams = await output;
  const { StatusCode } = await container.wait();
  const { State } = await container.inspect();
  await container.remove();
  const missing = await docker
    .getContainer('nobody')
    .inspect()
    .catch((error: { statusCode?: number; json?: unknown }) => [error.statusCode, error.json]);
  const listed = (await docker.listImages({ filters: { reference: ['busybox'] } })).map(
    ({ RepoTags }) => RepoTags,
  );
  return { streams, StatusCode, running: State.Running, missing, listed, ping: String(await docker.ping()) };
}

/**
 * A job of GitLab's docker executor: a container that reads its script from standard input, attached before it is
 * started, ended by closing its input (gitlab-runner executors/docker/internal/exec).
 */
export async function gitlabRunner(socketPath: string): Promise<unknown> {
  const docker = new Docker({ socketPath });
  await docker.createVolume({ Name: 'runner-cache' });
  const outcomes: unknown[] = [];
  for (const script of [
    'mkdir -p /builds/p && echo source > /builds/p/file\n',
    'cat /builds/p/file; echo job >&2; exit 2\n',
  ]) {
    const container = await docker.createContainer({
      Image: 'busybox',
      Cmd: ['sh'],
      OpenStdin: true,
      StdinOnce: true,
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Labels: { 'com.gitlab.gitlab-runner.managed': 'true' },
      HostConfig: {
        NetworkMode: 'none',
        Binds: ['runner-cache:/builds'],
        LogConfig: { Type: 'json-file', Config: {} },
      },
    });
    const stream = await container.attach({
      stream: true,
      hijack: true,
      stdin: true,
      stdout: true,
      stderr: true,
    });
    const output = demultiplex(docker, stream);
    await container.start();
    stream.end(script);
    const { StatusCode } = await container.wait({ condition: 'not-running' });
    outcomes.push({ ...(await output), StatusCode });
    await container.remove({ force: true, v: true });
  }
  await docker.getVolume('runner-cache').remove();
  return outcomes;
}

/** A job of act: a container that idles, files copied in, each step an exec, and what it left copied out. */
export async function act(socketPath: string): Promise<unknown> {
  const docker = new Docker({ socketPath });
  const container = await docker.createContainer({
    ...offline,
    name: 'act-job',
    Image: 'busybox',
    Entrypoint: ['/bin/tail', '-f', '/dev/null'],
    WorkingDir: '/work',
    Env: ['GITHUB_ACTIONS=true'],
  });
  await container.start();
  const steps: unknown[] = [];
  for (const Tty of [false, true]) {
    const exec = await container.exec({
      Cmd: ['sh', '-e', '-c', 'echo "step in $PWD"; echo result > /work/result; exit 1'],
      AttachStdout: true,
      AttachStderr: true,
      Tty,
    });
    const stream = await exec.start({ hijack: true, Tty });
    const output = Tty ? await text(stream) : await demultiplex(docker, stream);
    const { ExitCode } = await exec.inspect();
    steps.push({ output, ExitCode });
  }
  const archive = await buffer(await container.getArchive({ path: '/work/result' }));
  await container.putArchive(archive, { path: '/work' });
  await container.stop({ t: 0 });
  const { State } = await container.inspect();
  await container.remove({ v: true });
  return { steps, archived: archive.includes('result\n'), stopped: State.Status };
}

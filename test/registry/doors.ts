/** The doors to a registry but BuildKit's, each as the command or request that tries it. */
import { request } from 'node:http';
import type { Door, Knocked } from './guarded-engine.js';

const digest = `sha256:${'a'.repeat(64)}`;

const docker =
  (...argv: readonly string[]): Door =>
  (guarded) =>
    guarded.docker(argv);

const compose =
  (...argv: readonly string[]): Door =>
  (guarded) => {
    const folder = guarded.folder({ 'compose.yaml': 'services: { one: { image: EVIL/team/base:1 } }' });
    return guarded.docker(['compose', '--file', `${folder}/compose.yaml`, ...argv]);
  };

/** What the engine answers to a request that the command line makes for other purposes only. */
function ask(socketPath: string, path: string, method = 'GET'): Promise<Knocked> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method }, (answer) => {
      let text = '';
      answer.on('data', (piece: Buffer) => {
        text += piece.toString();
      });
      answer.on('end', () => resolve({ code: answer.statusCode === 200 ? 0 : answer.statusCode, text }));
    });
    call.on('error', reject);
    call.end();
  });
}

/** What every engine has. */
export const plainDoors: readonly (readonly [string, Door])[] = [
  ['pull', docker('pull', 'EVIL/team/base:1')],
  ['pull of every tag', docker('pull', '-a', 'EVIL/team/base')],
  ['pull by digest', docker('pull', `EVIL/team/base@${digest}`)],
  ['run of a missing image', docker('run', '--rm', 'EVIL/team/base:1', 'true')],
  ['create of a missing image', docker('create', 'EVIL/team/base:1', 'true')],
  ['compose pull', compose('pull')],
  ['compose up of a missing image', compose('up', '--detach')],
  [
    'push',
    async (guarded) => {
      const name = guarded.filled('EVIL/team/pushed:1');
      await guarded.engine.cli.must('tag', 'busybox', name);
      const result = await guarded.docker(['push', name]);
      await guarded.engine.cli.must('rmi', name);
      return result;
    },
  ],
  ['login', docker('login', '-u', 'u', '-p', 'p', 'EVIL')],
  ['search', docker('search', 'EVIL/team')],
  [
    'distribution inspect',
    ({ cli, evil }) => ask(cli.socket, `/distribution/${evil.address}/team/base:1/json`),
  ],
  ['import from an address', docker('import', 'http://EVIL/v2/')],
  ['plugin install', docker('plugin', 'install', '--grant-all-permissions', 'EVIL/team/plugin:1')],
];

/** A build by the classic builder. */
export const classic =
  (dockerfile: string, ...flags: readonly string[]): Door =>
  (guarded) => {
    const folder = guarded.folder({ Dockerfile: dockerfile, file: 'x' });
    return guarded.docker(['build', ...flags, folder], { env: { DOCKER_BUILDKIT: '0' } });
  };

/** The classic builder's, of every engine. */
export const classicDoors: readonly (readonly [string, Door])[] = [
  ['FROM', classic('FROM EVIL/team/base:1')],
  ['FROM with --pull', classic('FROM EVIL/team/base:1', '--pull')],
  ['FROM by ARG', classic('ARG BASE\nFROM $BASE', '--build-arg', 'BASE=EVIL/team/base:1')],
  ['COPY --from', classic('FROM scratch\nCOPY --from=EVIL/team/base:1 /etc /etc')],
  ['ADD of an address', classic('FROM scratch\nADD http://EVIL/v2/ /x')],
  [
    'a remote context',
    ({ cli, evil }) => ask(cli.socket, `/build?remote=http://${evil.address}/v2/`, 'POST'),
  ],
  ['a packed context', classic('FROM EVIL/team/base:1', '--compress')],
  [
    'what a base that is here adds to the build',
    async (guarded) => {
      const { engine } = guarded;
      const folder = guarded.folder({
        Dockerfile: 'FROM scratch\nONBUILD COPY --from=EVIL/team/base:1 /etc /etc\nCOPY Dockerfile /',
      });
      const made = await engine.cli.run(['build', '-t', 'trigger', folder], {
        env: { DOCKER_BUILDKIT: '0' },
      });
      if (made.code !== 0) throw new Error(made.stderr);
      const knocked = await classic('FROM trigger')(guarded);
      await engine.cli.must('rmi', 'trigger');
      return knocked;
    },
  ],
];

// Stands in for sysbox-runc, which needs services of its own: STAND-IN FOLDER RUNC ARGUMENTS-OF-THE-RUNTIME… It notes
// what it is given, fails as the real one does where that can't be used (libsysbox/syscont/spec.go,
// validateIDMappings and cfgNamespaces), and then starts the container with runc and without its user namespace.
import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, runc, ...argv] = process.argv.slice(2);
const verbs = ['create', 'run', 'start', 'exec', 'kill', 'delete', 'state'];
const verb = argv.find((word) => verbs.includes(word)) ?? 'other';

function isRange([mapping, ...others] = []) {
  return others.length === 0 && mapping?.containerID === 0 && mapping.hostID > 0 && mapping.size >= 65_536;
}

function fail(words) {
  process.stderr.write(`${words}\n`);
  process.exit(1);
}

function note(details) {
  appendFileSync(join(folder, 'given'), `${JSON.stringify({ verb, argv, ...details })}\n`);
}

if (verb === 'create' || verb === 'run') {
  const bundle = argv[argv.indexOf('--bundle') + 1];
  const path = join(bundle, 'config.json');
  const given = JSON.parse(readFileSync(path, 'utf8'));
  const engine = JSON.parse(readFileSync(join(bundle, '.config.json.engine'), 'utf8'));
  const { linux } = given;
  const types = new Set(linux.namespaces.map(({ type }) => type));
  for (const type of ['pid', 'ipc', 'uts', 'mount', 'network']) {
    if (!types.has(type)) fail(`container spec missing namespaces ${type}`);
  }
  if (!isRange(linux.uidMappings) || !isRange(linux.gidMappings)) fail('sysbox-runc requires one mapping');
  const owner = ({ uid, gid }) => `${uid}:${gid}`;
  note({
    given,
    engine,
    rootOwner: owner(statSync(given.root.path)),
    binds: Object.fromEntries(
      given.mounts
        .filter(({ type }) => type === 'bind')
        .map(({ source, destination }) => [destination, owner(statSync(source))]),
    ),
  });
  const plain = structuredClone(given);
  plain.linux.namespaces = linux.namespaces.filter(({ type }) => type !== 'user');
  delete plain.linux.uidMappings;
  delete plain.linux.gidMappings;
  writeFileSync(path, JSON.stringify(plain));
} else {
  note({});
}
process.exit(spawnSync(runc, argv, { stdio: 'inherit' }).status ?? 1);

/**
 * Where the effect of each setting is shown: a test, by its file and its name, or a rule's fixture. A key without one
 * can't be added, and a test that goes away is missed here. It can't tell whether the test shows enough.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { settingsReference } from '../../src/settings/reference.js';

type Effect = readonly [file: string, test: string];

const grants = 'registry/engine-socket-grants.test.ts';
const commands: Effect = [grants, 'the command list holds, for every image or for one'];
const locks: Effect = ['policy/refresh.test.ts', '%s.locked keeps a bundle from the whole section'];
const policy: Effect = ['policy/refresh.test.ts', 'takes a signed bundle, and keeps it for the next start'];
const atStart = 'engine/settings-at-start.test.ts';
const audit: Effect = [atStart, 'audit.maximumFileMegabytes and audit.keepFiles'];
const egress = 'registry/egress/engine-egress.test.ts';
const modes = 'engine/warning-modes.test.ts';
const socketMount = 'enhancedContainerIsolation.dockerSocketMount';

const effects: Readonly<Record<string, Effect>> = {
  configurationFileVersion: ['settings/parse.test.ts', 'do not stop a file of a newer format'],
  'enhancedContainerIsolation.value': [
    'cli/administration.test.ts',
    'is switched by a user where it is not locked: the next container is a plain one',
  ],
  'enhancedContainerIsolation.locked': [
    'cli/administration.test.ts',
    'is refused where the administrator locks it, naming the file',
  ],
  'enhancedContainerIsolation.warn': [modes, 'host-resources: the container is where it asks to be'],
  'enhancedContainerIsolation.warnAtRiskOfRoot': [modes, 'log-drivers: a daemon of the host gets the log'],
  [`${socketMount}.imageList.images`]: [grants, 'a listed image gets a socket that works'],
  [`${socketMount}.imageList.allowDerivedImages`]: [grants, 'an image made on a trusted one is allowed'],
  [`${socketMount}.commandList.type`]: commands,
  [`${socketMount}.commandList.commands`]: commands,
  [`${socketMount}.commandList.mode`]: ['rules/socket-commands/allow-mode-warn.json', 'only told'],
  [`${socketMount}.perImage`]: commands,
  [`${socketMount}.perImage[].image`]: commands,
  [`${socketMount}.perImage[].commandList.type`]: commands,
  [`${socketMount}.perImage[].commandList.commands`]: commands,
  [`${socketMount}.perImage[].commandList.mode`]: [
    'rules/socket-commands/allow-mode-warn-per-image.json',
    'only told',
  ],
  existingContainers: ['rules/existing-containers/deny-container-start.json', 'existingContainers'],
  'uidRanges.locked': locks,
  'uidRanges.first': [atStart, 'uidRanges: containers get ids of these'],
  'uidRanges.last': [atStart, 'uidRanges: containers get ids of these'],
  'hostFiles.locked': locks,
  'hostFiles.rootCallers': [
    'host-files/owner-settings.test.ts',
    'sudo docker run works for the folder’s owner',
  ],
  'hostFiles.allow': [
    'host-files/host-paths.test.ts',
    'what the settings deny, and below /run what they allow',
  ],
  'hostFiles.deny': [
    'host-files/host-paths.test.ts',
    'what the settings deny, and below /run what they allow',
  ],
  'hostFiles.groups': [
    'host-files/owner-settings.test.ts',
    'a group that the settings name keeps its number',
  ],
  'hostFiles.sharingMode': [modes, 'are mounted with the caller’s own rights, made where they are missing'],
  filesharingAllowedDirectories: ['cli/administration.test.ts', 'are those that the settings list'],
  'filesharingAllowedDirectories[].path': ['cli/administration.test.ts', 'are those that the settings list'],
  'filesharingAllowedDirectories[].sharedByDefault': ['cli/administration.test.ts', 'sharedByDefault: true'],
  'portBindingBehavior.value': ['cli/administration.test.ts', 'are those of the host itself alone'],
  'portBindingBehavior.locked': locks,
  'portBindingBehavior.mode': [modes, 'stay as the client names them, with a warning'],
  'volumes.locked': locks,
  'volumes.types': ['rules/volume-drivers/allow-nfs-setting.json', '"types": ["nfs"]'],
  'deviceRequests.locked': locks,
  'deviceRequests.allow': ['rules/device-requests/allow-listed.json', 'deviceRequests'],
  'registryAccess.value': [egress, 'without a list everything is reached'],
  'registryAccess.locked': locks,
  'registryAccess.mode': ['settings/modes.test.ts', 'allows what the list would refuse, with a warning'],
  'registryAccess.registries': [egress, 'a listed registry works: pull, push, build'],
  'registryAccess.registries[].address': [egress, 'a listed registry works: pull, push, build'],
  'registryAccess.registries[].repositories': [
    'registry/policy.test.ts',
    "repositories: ['alpine', 'acme/**']",
  ],
  'registryAccess.registries[].allow': ['registry/policy.test.ts', "allow: ['pull']"],
  'registryAccess.registries[].description': ['settings/profiles.test.ts', 'ai-agent-sandbox'],
  'registryAccess.localImages': [
    'registry/engine-build-doors.test.ts',
    '--pull is refused, and everything without localImages',
  ],
  'registryAccess.urls': ['registry/classic-build.test.ts', "urls: ['https://good.example/**']"],
  'registryAccess.egress': [egress, 'a listed registry works: pull, push, build'],
  'registryAccess.egressPort': [
    'registry/egress/engine-setup.test.ts',
    'an engine that knows proxies gets them in daemon.json',
  ],
  'imageAccess.value': ['rules/registry-pull/deny-community-image.json', 'imageAccess'],
  'imageAccess.locked': locks,
  'imageAccess.mode': ['settings/modes.test.ts', 'leave the sections out that only warn'],
  'imageAccess.allow': ['rules/registry-pull/allow-listed-organisation.json', 'imageAccess'],
  'blockDockerLoad.value': ['rules/image-import/deny-load.json', 'blockDockerLoad'],
  'blockDockerLoad.locked': locks,
  'blockDockerLoad.mode': ['settings/modes.test.ts', 'is each section’s own'],
  'audit.maximumFileMegabytes': audit,
  'audit.keepFiles': audit,
  'audit.journal': ['packaging/systemd.test.ts', 'writes the audit log into the journal as well'],
  'policy.url': policy,
  'policy.publicKey': policy,
  'policy.authorityFile': ['policy/refresh.test.ts', 'from a server whose certificate is not trusted'],
  'policy.refreshMinutes': [
    'policy/refresh.test.ts',
    'tries again after a failure, waiting longer each time',
  ],
  'policy.graceHours': ['policy/refresh.test.ts', 'is overdue when the server has not confirmed it'],
  'metrics.listen': [atStart, 'metrics.listen: health and metrics are there'],
  'shutdown.drainSeconds': [atStart, 'shutdown.drainSeconds: what is under way may take so long'],
};

const keys = [...settingsReference().matchAll(/^\| `([^`]+)` \|/gm)].map(([, key]) => key ?? '');

it('every key has a test of its effect', () => {
  expect(Object.keys(effects).sort()).toEqual([...new Set(keys)].sort());
});

it.each(Object.entries(effects))('%s', (_key, [file, name]) => {
  expect(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')).toContain(name);
});

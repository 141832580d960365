/**
 * Which body each endpoint takes, by the route's name. Every route whose body is JSON has an entry.
 * Source: moby `daemon/server/router/**`.
 */
import {
  checkpointCreate,
  containerConfig,
  containerCreate,
  containerUpdate,
  execCreate,
  execStart,
  hostConfig,
} from './container.js';
import { embed, type FieldType, field, list, string, strings, struct } from './field-types.js';
import { networkConnect, networkCreate, networkDisconnect, networkingConfig } from './network.js';
import { serviceSpec } from './service.js';
import { configSpec, nodeSpec, secretSpec, swarmInit, swarmJoin, swarmSpec, swarmUnlock } from './swarm.js';
import { volumeCreate, volumeUpdate } from './volume.js';

export interface BodyModel {
  readonly type: FieldType;
  /** False where dockerd takes a request without a body for one with an empty object. */
  readonly required: boolean;
  /** Keys that well-known clients put into the body and no engine reads: dropped whatever their value. */
  readonly ignored: readonly string[];
}

const discarded = { retired: 'a commit ignores it' };

/** dockerd decodes a commit's body as a create's, and throws away all but the config. */
const commit = struct('CreateRequest', {
  ...embed(containerConfig),
  HostConfig: field(hostConfig, discarded),
  NetworkingConfig: field(networkingConfig, discarded),
});

const auth = struct('AuthConfig', {
  username: string,
  password: string,
  auth: string,
  email: string,
  serveraddress: string,
  identitytoken: string,
  registrytoken: string,
});

const pluginPrivileges = list(
  struct('PluginPrivilege', { Name: string, Description: string, Value: strings }),
);

function model(type: FieldType, extras: { required?: boolean; ignored?: readonly string[] } = {}): BodyModel {
  return { type, required: extras.required ?? false, ignored: extras.ignored ?? [] };
}

/** The description of each endpoint's JSON body. */
export const bodyModels: ReadonlyMap<string, BodyModel> = new Map([
  ['system.auth', model(auth, { required: true })],
  ['container.create', model(containerCreate, { required: true })],
  ['container.update', model(containerUpdate)],
  // docker-py names the container in the body as well.
  ['exec.create', model(execCreate, { ignored: ['Container'] })],
  // dockerode sends its own options along.
  ['exec.start', model(execStart, { ignored: ['hijack', 'stdin', 'abortSignal'] })],
  ['checkpoint.create', model(checkpointCreate)],
  ['image.commit', model(commit)],
  ['volume.create', model(volumeCreate)],
  ['volume.update', model(volumeUpdate)],
  ['network.create', model(networkCreate)],
  ['network.connect', model(networkConnect)],
  ['network.disconnect', model(networkDisconnect)],
  ['plugin.pull', model(pluginPrivileges)],
  ['plugin.upgrade', model(pluginPrivileges)],
  ['plugin.set', model(strings)],
  ['swarm.init', model(swarmInit)],
  ['swarm.join', model(swarmJoin)],
  ['swarm.update', model(swarmSpec)],
  ['swarm.unlock', model(swarmUnlock)],
  ['service.create', model(serviceSpec)],
  ['service.update', model(serviceSpec)],
  ['node.update', model(nodeSpec)],
  ['secret.create', model(secretSpec)],
  ['secret.update', model(secretSpec)],
  ['config.create', model(configSpec)],
  ['config.update', model(configSpec)],
]);

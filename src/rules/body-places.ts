/**
 * Where the same thing stands in the bodies of different requests: a container's create, a service's task, an exec and
 * a commit all carry an environment, and a rule about environments judges every one of them.
 */
import type { JudgedRequest } from './rule.js';

export interface BodyPlaces {
  readonly environment: string;
  readonly workingDirectory: string;
  readonly image?: string;
  readonly mounts?: string;
  readonly sysctls?: string;
  readonly ulimits?: string;
  readonly oomScoreAdjustment?: string;
  readonly logDriver?: string;
  readonly logOptions?: string;
}

const task = '/TaskTemplate/ContainerSpec';

const containerPlaces: BodyPlaces = {
  environment: '/Env',
  workingDirectory: '/WorkingDir',
  image: '/Image',
  mounts: '/HostConfig/Mounts',
  sysctls: '/HostConfig/Sysctls',
  ulimits: '/HostConfig/Ulimits',
  oomScoreAdjustment: '/HostConfig/OomScoreAdj',
  logDriver: '/HostConfig/LogConfig/Type',
  logOptions: '/HostConfig/LogConfig/Config',
};

const servicePlaces: BodyPlaces = {
  environment: `${task}/Env`,
  workingDirectory: `${task}/Dir`,
  image: `${task}/Image`,
  mounts: `${task}/Mounts`,
  sysctls: `${task}/Sysctls`,
  ulimits: `${task}/Ulimits`,
  oomScoreAdjustment: `${task}/OomScoreAdj`,
  logDriver: '/TaskTemplate/LogDriver/Name',
  logOptions: '/TaskTemplate/LogDriver/Options',
};

const execPlaces: BodyPlaces = { environment: '/Env', workingDirectory: '/WorkingDir' };

/** The routes that describe a container to be: its own create, and a service's task. */
export const containerRoutes = ['container.create', 'service.create', 'service.update'] as const;

/** The places in this request's body. */
export function placesOf(request: JudgedRequest): BodyPlaces {
  switch (request.route.name) {
    case 'container.create':
      return containerPlaces;
    case 'service.create':
    case 'service.update':
      return servicePlaces;
    default:
      return execPlaces;
  }
}

/**
 * The rule `working-directories`: a working directory below /proc can name a descriptor that leaked into the runtime,
 * and with it the host's file system (CVE-2024-21626, `/proc/self/fd/N`).
 */
import { posix } from 'node:path';
import { placesOf } from './body-places.js';
import { findingsOf } from './finding.js';
import { textAt } from './json-pointer.js';
import type { Rule } from './rule.js';

const { deny } = findingsOf('working-directories');

export const workingDirectories: Rule = {
  id: 'working-directories',
  summary:
    'Working directories below `/proc`, `/dev/fd` and `/sys` are refused, for containers, services and execs.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create', 'exec.create', 'image.commit', 'service.create', 'service.update'],
  judge: (request) => {
    const field = placesOf(request).workingDirectory;
    const folder = textAt(request.body, field);
    if (folder === '' || !/^\/(proc|sys|dev\/fd)(\/|$)/.test(posix.resolve('/', folder))) return [];
    return [
      deny(
        field,
        `the working directory ${folder} could lead out of the container`,
        'Use another one and cd there.',
      ),
    ];
  },
};

/**
 * Sysbox takes orders from a container's environment, and some turn the shifting of ids off. The proxy refuses them, but
 * an image can be pulled, or take another's name, after it was looked at (a service's task, a build's step).
 */
import { refused } from '../refusal.js';
import type { Edit } from './edit.js';

export const runtimeSwitches: Edit = {
  name: 'runtime-switches',
  apply(specification) {
    const found = (specification.process?.env ?? []).find((entry) => entry.startsWith('SYSBOX_'));
    if (found === undefined) return;
    throw refused(`the variable ${found.split('=', 1)[0]} is a switch of the runtime`);
  },
};

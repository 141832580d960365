/**
 * Hooks are programs that the backend starts on the host as root. The engine has one of its own, which hands the
 * container's network namespace to it; any other is refused.
 */
import { refused } from '../refusal.js';
import type { Edit } from './edit.js';

export const hooks: Edit = {
  name: 'hooks',
  apply(specification) {
    for (const [stage, list] of Object.entries(specification.hooks ?? {})) {
      for (const hook of list ?? []) {
        // moby, libnetwork/sandbox_externalkey_unix.go: dockerd starts itself again, with the id of the sandbox: the
        // container's own, or for a build step a random one (builder/builder-next/executor_linux.go).
        const own =
          stage === 'prestart' &&
          /^\/proc\/\d+\/exe$/.test(hook.path) &&
          hook.args?.[0] === 'libnetwork-setkey' &&
          hook.args.slice(1).every((argument) => /^(?:-exec-root=\/.*|[0-9a-z]+)$/.test(argument));
        if (!own) throw refused(`the ${stage} hook ${hook.path} would run on the host as root`);
      }
    }
  },
};

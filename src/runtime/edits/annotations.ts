/**
 * Annotations are free text to users, but some are instructions to a backend: those reach past the specification
 * and are refused. All others are carried along.
 */
import { refused } from '../refusal.js';
import type { Edit } from './edit.js';

/** runc: systemd properties of the scope, CRIU's configuration. crun: everything under run.oci. */
const instructions = ['org.systemd.property.', 'org.criu.', 'run.oci.', 'io.crun.', 'module.wasm.image/'];

export const annotations: Edit = {
  name: 'annotations',
  apply(specification) {
    for (const name of Object.keys(specification.annotations ?? {})) {
      if (instructions.some((prefix) => name.toLowerCase().startsWith(prefix))) {
        throw refused(`the annotation ${name} is an instruction to the runtime`);
      }
    }
  },
};

/**
 * The parts of an OCI runtime specification (config.json) that the runtime looks at or edits. Everything else is
 * carried along untouched.
 * https://github.com/opencontainers/runtime-spec/blob/main/config.md, config-linux.md
 */
import { z } from 'zod';

const mountSchema = z.looseObject({
  destination: z.string(),
  type: z.string().optional(),
  source: z.string().optional(),
  options: z.array(z.string()).optional(),
});
export type SpecificationMount = z.infer<typeof mountSchema>;

const mappingSchema = z.object({
  containerID: z.number().int(),
  hostID: z.number().int(),
  size: z.number().int(),
});

const namespaceSchema = z.object({ type: z.string(), path: z.string().optional() });
export type SpecificationNamespace = z.infer<typeof namespaceSchema>;

const hookSchema = z.looseObject({ path: z.string(), args: z.array(z.string()).optional() });

const deviceSchema = z.looseObject({
  path: z.string(),
  type: z.string(),
  major: z.number().int().optional(),
  minor: z.number().int().optional(),
  fileMode: z.number().int().optional(),
  uid: z.number().int().optional(),
  gid: z.number().int().optional(),
});
export type SpecificationDevice = z.infer<typeof deviceSchema>;

export const specificationSchema = z.looseObject({
  ociVersion: z.string(),
  root: z.looseObject({ path: z.string(), readonly: z.boolean().optional() }),
  process: z
    .looseObject({
      args: z.array(z.string()).nullish(),
      env: z.array(z.string()).nullish(),
      user: z.looseObject({ uid: z.number().int().optional(), gid: z.number().int().optional() }).optional(),
      terminal: z.boolean().optional(),
    })
    .optional(),
  mounts: z.array(mountSchema).nullish(),
  hooks: z.record(z.string(), z.array(hookSchema).nullable()).nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
  linux: z.looseObject({
    namespaces: z.array(namespaceSchema),
    uidMappings: z.array(mappingSchema).nullish(),
    gidMappings: z.array(mappingSchema).nullish(),
    sysctl: z.record(z.string(), z.string()).nullish(),
    cgroupsPath: z.string().optional(),
    devices: z.array(deviceSchema).nullish(),
  }),
});
export type Specification = z.infer<typeof specificationSchema>;

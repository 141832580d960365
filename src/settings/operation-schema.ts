/**
 * The sections about the running of the daemon on this very host. No policy bundle changes them, and they have no
 * lock: no user can.
 */
import { z } from 'zod';

export const shutdownSchema = z
  .object({
    drainSeconds: z
      .number()
      .min(0)
      .max(3600)
      .default(30)
      .describe('How long requests and streams under way may go on after SIGTERM, in seconds.'),
  })
  .readonly();

export const auditSchema = z
  .object({
    maximumFileMegabytes: z
      .number()
      .int()
      .min(1)
      .max(4096)
      .default(64)
      .describe('Size at which a new audit file is begun.'),
    keepFiles: z.number().int().min(1).max(1000).default(16).describe('How many full audit files are kept.'),
    journal: z
      .boolean()
      .default(false)
      .describe(
        'Whether each record goes to the systemd journal as well, as `cofferdam-audit`. Taken at start.',
      ),
  })
  .readonly();

export const metricsSchema = z
  .object({
    listen: z
      .string()
      .regex(
        /^((127(\.\d{1,3}){3}|localhost|\[::1\]):\d{1,5})?$/,
        'must be a loopback address with a port, as 127.0.0.1:9477',
      )
      .default('')
      .describe(
        'Loopback address and port for /metrics, /healthz and /readyz, taken at start; empty: on the control socket only.',
      ),
  })
  .readonly();

export const policySchema = z
  .object({
    url: z
      .string()
      .regex(/^((https|oci):\/\/\S+)?$/, 'must be https://… or oci://registry/repository:tag')
      .default('')
      .describe(
        'Where the policy bundle of this host is fetched from, `https://…` or `oci://registry/repository:tag`; empty: there is none.',
      ),
    publicKey: z
      .string()
      .regex(/^([A-Za-z0-9+/]{43}=)?$/, 'must be an Ed25519 public key, 32 bytes in base64')
      .default('')
      .describe('The Ed25519 key, in base64, whose signature a bundle must have.'),
    authorityFile: z
      .string()
      .default('')
      .describe(
        'Certificates (PEM) of a private authority that the server is checked with; empty: the usual ones.',
      ),
    refreshMinutes: z
      .number()
      .min(1)
      .max(1440)
      .default(60)
      .describe('How often it is fetched again, in minutes.'),
    graceHours: z
      .number()
      .min(1)
      .max(720)
      .default(12)
      .describe('After how many hours without a refresh the daemon reports itself as not ready.'),
  })
  .readonly()
  .refine(({ url, publicKey }) => url === '' || publicKey !== '', {
    path: ['publicKey'],
    message: 'is needed with an url: a bundle without a signature is never taken',
  });

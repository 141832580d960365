/** Bodies of the network endpoints, and endpoint settings of containers. Source: moby `api/types/network`. */
import { boolean, field, integer, list, map, string, stringMap, strings, struct } from './field-types.js';

export const endpointSettings = struct('EndpointSettings', {
  IPAMConfig: struct('EndpointIPAMConfig', {
    IPv4Address: string,
    IPv6Address: string,
    LinkLocalIPs: strings,
  }),
  Links: strings,
  Aliases: strings,
  MacAddress: string,
  DriverOpts: field(stringMap, { since: '1.32' }),
  GwPriority: field(integer('int'), { since: '1.48' }),
  NetworkID: string,
  EndpointID: string,
  Gateway: string,
  IPAddress: string,
  IPPrefixLen: integer('int'),
  IPv6Gateway: string,
  GlobalIPv6Address: string,
  GlobalIPv6PrefixLen: integer('int'),
  DNSNames: field(strings, { since: '1.44' }),
});

export const networkingConfig = struct('NetworkingConfig', { EndpointsConfig: map(endpointSettings) });

const ipam = struct('IPAM', {
  Driver: string,
  Options: stringMap,
  Config: list(
    struct('IPAMConfig', {
      Subnet: string,
      IPRange: string,
      Gateway: string,
      AuxiliaryAddresses: stringMap,
    }),
  ),
});

export const networkCreate = struct('CreateRequest', {
  Name: string,
  CheckDuplicate: boolean,
  Driver: string,
  Scope: field(string, { since: '1.30' }),
  EnableIPv4: field(boolean, { since: '1.47' }),
  EnableIPv6: boolean,
  IPAM: ipam,
  Internal: boolean,
  Attachable: boolean,
  Ingress: boolean,
  ConfigOnly: field(boolean, { since: '1.30' }),
  ConfigFrom: field(struct('ConfigReference', { Network: string }), { since: '1.30' }),
  Options: stringMap,
  Labels: stringMap,
});

export const networkConnect = struct('ConnectOptions', {
  Container: string,
  EndpointConfig: endpointSettings,
});

export const networkDisconnect = struct('DisconnectOptions', { Container: string, Force: boolean });

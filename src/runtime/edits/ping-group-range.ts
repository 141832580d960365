/**
 * Engines let every group send pings: `0 2147483647`. In a user namespace the kernel takes only ids that are mapped
 * (net/ipv4/sysctl_net_ipv4.c, ipv4_ping_group_range): the same is said with the container's last group.
 */
import type { Edit } from './edit.js';

const name = 'net.ipv4.ping_group_range';

export const pingGroupRange: Edit = {
  name: 'ping-group-range',
  apply(specification, context) {
    const { sysctl } = specification.linux;
    const [first, last] = (sysctl?.[name] ?? '').split(/\s+/).map(Number);
    if (!sysctl || first === undefined || last === undefined) return;
    const largest = Math.max(...context.mapping.gid.map((extent) => extent.containerId + extent.size - 1));
    if (last > largest && first <= largest) sysctl[name] = `${first} ${largest}`;
  },
};

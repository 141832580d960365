/**
 * Which user is at the other end of a TCP connection within this host (proc(5), /proc/net/tcp). It must never guess:
 * a connection that isn't in the kernel's table has no known user.
 */
import { readFileSync } from 'node:fs';

/** One end of a connection over IPv4. */
export interface TcpEnd {
  readonly address: string;
  readonly port: number;
}

/**
 * The uid that owns the socket at the other end.
 * @param theirs the end that is asked about, as the connection's remote address
 * @param ours our own end
 * @returns undefined when this network namespace has no such socket
 */
export function tcpPeerUid(theirs: TcpEnd, ours: TcpEnd): number | undefined {
  const [wanted, other] = [tableForm(theirs), tableForm(ours)];
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n')) {
    const [, local, remote, , , , , uid] = line.trim().split(/\s+/);
    if (local === wanted && remote === other && uid !== undefined) return Number(uid);
  }
  return undefined;
}

/** `0100007F:1F90`: the address as a little-endian number, the port as a big-endian one. */
function tableForm({ address, port }: TcpEnd): string {
  const bytes = address.split('.').map(Number).reverse();
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}

// The listening sockets of a network from its /proc/net/{tcp,tcp6,udp,udp6}, and what they mean for
// a packet that arrives at an address and port. SCTP is not in these files.
import { formatIp, parseIp } from '#net/ip.ts'
import type { Socket } from './explanation.ts'

/** TCP_LISTEN; a UDP socket that is bound but not connected is TCP_CLOSE (include/net/tcp_states.h). */
const states = { TCP: '0A', UDP: '07' } as const

/** The lines of one or more of the four files; all other lines are skipped. */
export function listeningSockets(text: string, protocol: 'TCP' | 'UDP'): Socket[] {
  return text.split('\n').flatMap(line => {
    const match = /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]+:([0-9A-F]{4}) ([0-9A-F]{2}) /.exec(line)
    if (!match || match[4] !== states[protocol] || match[3] !== '0000') return []
    return [{ protocol, ip: address(match[1]!), port: Number.parseInt(match[2]!, 16) }]
  })
}

/** Words of 32 bits in the byte order of the machine, which is little-endian on all that Fairway runs on. */
function address(hex: string): string {
  const bytes = hex.match(/.{8}/g)!.flatMap(word => word.match(/../g)!.reverse()).map(byte => Number.parseInt(byte, 16))
  const isMapped = bytes.length === 16 && bytes.slice(0, 12).join() === '0,0,0,0,0,0,0,0,0,0,255,255' // RFC 4291 2.5.5.2
  if (bytes.length === 4 || isMapped) return bytes.slice(-4).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8 | bytes[2 * i + 1]!).toString(16))
  return formatIp(parseIp(groups.join(':'))!)
}

export type Listening =
  | { readonly answers: true }
  /** `on` are the addresses that the port is open on, when only the packet's is not among them. */
  | { readonly answers: false; readonly on: readonly string[]; readonly otherPorts: readonly number[] }

const any = new Set(['0.0.0.0', '::'])

/** Whether something takes what arrives at ip:port. A socket on :: is taken to take IPv4 too, as it does unless told otherwise. */
export function listens(sockets: readonly Socket[], at: { protocol: string; ip: string; port: number }): Listening {
  const ofProtocol = sockets.filter(socket => socket.protocol === at.protocol)
  const reached = (socket: Socket) => socket.ip === at.ip || socket.ip === '::' || (socket.ip === '0.0.0.0' && !at.ip.includes(':'))
  const there = ofProtocol.filter(socket => socket.port === at.port)
  if (there.some(reached)) return { answers: true }
  const open = ofProtocol.filter(socket => any.has(socket.ip) || socket.ip === at.ip).map(socket => socket.port)
  return { answers: false, on: [...new Set(there.map(socket => socket.ip))], otherPorts: [...new Set(open)].sort((a, b) => a - b) }
}

/** Prints one network after the other, of those that hold a wanted address: `@`, its addresses, `=TCP`, `=UDP` and their tables. */
export const lookScript = `look='
  has=$(ip -o addr show) || exit 0
  for ip; do case $has in *" $ip/"*) echo @; echo "$has"; echo =TCP; cat /proc/net/tcp /proc/net/tcp6; echo =UDP; cat /proc/net/udp /proc/net/udp6; exit;; esac; done'
sh -c "$look" look "$@" 2>/dev/null
for net in /run/netns/*; do nsenter --net="$net" sh -c "$look" look "$@" 2>/dev/null; done; true`

/** What `lookScript` printed, by address. */
export function socketsByAddress(text: string): Record<string, readonly Socket[]> {
  const found: Record<string, readonly Socket[]> = {}
  for (const network of text.split(/^@$/m).slice(1)) {
    const [addresses = '', tcp = '', udp = ''] = network.split(/^=(?:TCP|UDP)$/m)
    const sockets = [...listeningSockets(tcp, 'TCP'), ...listeningSockets(udp, 'UDP')]
    for (const [, ip] of addresses.matchAll(/ inet6? ([0-9a-f.:]+)\//g)) {
      // Every network has its own loopback.
      if (ip !== '127.0.0.1' && ip !== '::1') found[ip!] = sockets
    }
  }
  return found
}

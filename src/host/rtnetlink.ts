// Links, addresses and routes of one network namespace over a routing netlink socket (rtnetlink(7)):
// what a pod needs, in a millisecond instead of the 7 ms of two `ip` processes. Only what pods use;
// whole machines are declared in ip.ts.
import { closeSync } from 'node:fs'
import { errnoName, netlinkSocket, receive, send, SystemError } from './libc.ts'
import { inNetns } from './netns.ts'

const NLM_F_REQUEST = 1, NLM_F_ACK = 4, NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400, NLMSG_ERROR = 2
const RTM_NEWLINK = 16, RTM_DELLINK = 17, RTM_GETLINK = 18, RTM_SETLINK = 19, RTM_NEWADDR = 20, RTM_NEWROUTE = 24
const IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_MASTER = 10, IFLA_PROTINFO = 12, IFLA_LINKINFO = 18, IFLA_GROUP = 27, IFLA_NET_NS_FD = 28
const IFLA_INFO_KIND = 1, IFLA_INFO_DATA = 2, VETH_INFO_PEER = 1, IFLA_BRPORT_MODE = 4
const IFA_ADDRESS = 1, IFA_LOCAL = 2, IFA_FLAGS = 8, IFA_F_NOPREFIXROUTE = 0x200
const RTA_OIF = 4, RTA_GATEWAY = 5, RTNH_F_ONLINK = 4
const AF_BRIDGE = 7, AF_INET = 2, IFF_UP = 1, nested = 0x8000

/** A link group of our own, for deleting together. */
const doomed = 0x66777921

type Value = Buffer | string | number
/** One attribute: strings end in NUL, numbers are 32 bit. */
function attribute(type: number, value: Value | readonly Buffer[]): Buffer {
  const body = Array.isArray(value) ? Buffer.concat(value as Buffer[]) : Buffer.isBuffer(value) ? value
    : typeof value === 'number' ? u32(value) : Buffer.from(value + '\0')
  const header = Buffer.alloc(4)
  header.writeUInt16LE(4 + body.length); header.writeUInt16LE(type, 2)
  return Buffer.concat([header, body, Buffer.alloc((4 - body.length % 4) % 4)])
}
function u32(value: number): Buffer { const buffer = Buffer.alloc(4); buffer.writeUInt32LE(value); return buffer }
const ipv4 = (address: string) => Buffer.from(address.split('.').map(Number))

/** struct ifinfomsg */
function linkHeader(index: number, { up = false, family = 0 }: { up?: boolean; family?: number } = {}): Buffer {
  const header = Buffer.alloc(16)
  header[0] = family
  header.writeInt32LE(index, 4)
  if (up) { header.writeUInt32LE(IFF_UP, 8); header.writeUInt32LE(IFF_UP, 12) }
  return header
}

export interface Veth {
  readonly name: string
  readonly peer: string
  /** Descriptor of the namespace that gets the peer. */
  readonly peerNetns: number
  /** Index of the bridge that the near end joins. */
  readonly master: number
  readonly mtu?: number
}

export interface Rtnetlink {
  addVeth(veth: Veth): void
  /** By name; absent is fine. All at once: the kernel waits some 25 ms (for RCU) per call, not per link. */
  deleteLinks(names: readonly string[]): void
  /** lo has index 1 in every namespace. */
  setUp(link: number | string): void
  /** Lets a bridge port send back what it received (a pod that reaches itself through its Service). */
  setHairpin(link: number): void
  /** `10.244.1.5/24` on the link. */
  /** Without a route to the address's own range: see `addDefaultRoute`. */
  addAddress(link: number, cidr: string): void
  /** Everything, also the neighbours of the own range, goes through the gateway, which needs no route of its own (`onlink`). */
  addDefaultRoute(link: number, gateway: string): void
  /** A link's index by its name. */
  indexOf(link: string): number
  close(): void
}

/** A socket in the namespace at `netns` (undefined: the calling thread's). Calls are answered by the kernel at once. */
export function openRtnetlink(netns?: string): Rtnetlink {
  const fd = inNetns(netns, () => netlinkSocket(0))
  let sequence = 0
  /** Sends one request; the kernel has answered when `send` returns, so that `receive` does not wait. */
  const ask = (call: string, type: number, { flags, parts }: { flags: number; parts: readonly Buffer[] }): Buffer => {
    const body = Buffer.concat(parts)
    const header = Buffer.alloc(16)
    header.writeUInt32LE(16 + body.length)
    header.writeUInt16LE(type, 4); header.writeUInt16LE(NLM_F_REQUEST | flags, 6); header.writeUInt32LE(++sequence, 8)
    send(fd, Buffer.concat([header, body]))
    const answer = Buffer.alloc(16384)
    const length = receive(fd, answer)
    if (length < 20) throw new Error(`${call}: an answer of ${length} bytes`)
    const errno = answer.readUInt16LE(4) === NLMSG_ERROR ? -answer.readInt32LE(16) : 0
    if (errno !== 0) throw new SystemError(call, errnoName(errno))
    return answer
  }
  const request = (call: string, type: number, { flags = 0, parts }: { flags?: number; parts: readonly Buffer[] }): void => {
    ask(call, type, { flags: NLM_F_ACK | flags, parts })
  }
  const create = NLM_F_CREATE | NLM_F_EXCL
  return {
    addVeth({ name, peer, peerNetns, master, mtu = 1500 }) {
      const peerPart = attribute(VETH_INFO_PEER | nested, [linkHeader(0), attribute(IFLA_IFNAME, peer), attribute(IFLA_NET_NS_FD, peerNetns), attribute(IFLA_MTU, mtu)])
      const info = attribute(IFLA_LINKINFO | nested, [attribute(IFLA_INFO_KIND, 'veth'), attribute(IFLA_INFO_DATA | nested, peerPart)])
      request(`link add ${name} type veth`, RTM_NEWLINK, { flags: create, parts: [linkHeader(0, { up: true }), attribute(IFLA_IFNAME, name), attribute(IFLA_MTU, mtu), attribute(IFLA_MASTER, master), info] })
    },
    deleteLinks(names) {
      const found = names.filter(name => {
        try { request(`link set ${name} group`, RTM_NEWLINK, { parts: [linkHeader(0), attribute(IFLA_IFNAME, name), attribute(IFLA_GROUP, doomed)] }); return true }
        catch (error) { if (error instanceof SystemError && error.code === 'ENODEV') return false; throw error }
      })
      if (found.length) request('link delete group', RTM_DELLINK, { parts: [linkHeader(0), attribute(IFLA_GROUP, doomed)] })
    },
    setUp(link) {
      const parts = typeof link === 'number' ? [linkHeader(link, { up: true })] : [linkHeader(0, { up: true }), attribute(IFLA_IFNAME, link)]
      request(`link set ${link} up`, RTM_NEWLINK, { parts })
    },
    setHairpin(link) {
      request(`bridge link set ${link} hairpin on`, RTM_SETLINK,
        { parts: [linkHeader(link, { family: AF_BRIDGE }), attribute(IFLA_PROTINFO | nested, attribute(IFLA_BRPORT_MODE, Buffer.from([1])))] })
    },
    addAddress(link, cidr) {
      const [address, prefix] = cidr.split('/') as [string, string]
      const header = Buffer.alloc(8) // struct ifaddrmsg
      header[0] = AF_INET; header[1] = Number(prefix); header.writeUInt32LE(link, 4)
      request(`addr add ${cidr} noprefixroute`, RTM_NEWADDR, { flags: create,
        parts: [header, attribute(IFA_LOCAL, ipv4(address)), attribute(IFA_ADDRESS, ipv4(address)), attribute(IFA_FLAGS, IFA_F_NOPREFIXROUTE)] })
    },
    addDefaultRoute(link, gateway) {
      const header = Buffer.alloc(12) // struct rtmsg
      header[0] = AF_INET; header[4] = 254; header[5] = 3; header[7] = 1 // main table, RTPROT_BOOT, RTN_UNICAST
      header.writeUInt32LE(RTNH_F_ONLINK, 8)
      request(`route add default via ${gateway} onlink`, RTM_NEWROUTE, { flags: create, parts: [header, attribute(RTA_GATEWAY, ipv4(gateway)), attribute(RTA_OIF, link)] })
    },
    // Without NLM_F_ACK the answer is the link alone; ifi_index stands 4 bytes into struct ifinfomsg.
    indexOf: link => ask(`link show ${link}`, RTM_GETLINK, { flags: 0, parts: [linkHeader(0), attribute(IFLA_IFNAME, link)] }).readInt32LE(20),
    close: () => closeSync(fd),
  }
}

// UDP sockets of one network namespace that are connected to somewhere, and closing them from outside
// (sock_diag(7), SOCK_DESTROY: the program gets ECONNABORTED). Answers come at once; nothing waits.
import { closeSync } from 'node:fs'
import { formatIp, type Family } from '#net/ip.ts'
import { errnoName, netlinkSocket, receive, send, SystemError } from './libc.ts'
import { inNetns } from './netns.ts'

const NETLINK_SOCK_DIAG = 4, SOCK_DIAG_BY_FAMILY = 20, SOCK_DESTROY = 21
const NLM_F_REQUEST = 1, NLM_F_ACK = 4, NLM_F_DUMP = 0x300, NLMSG_ERROR = 2, NLMSG_DONE = 3
const AF_INET = 2, AF_INET6 = 10, IPPROTO_UDP = 17, established = 1 << 1
const idSize = 48

export interface UdpSocket {
  /** The kernel's name for it, the same as a program's get_socket_cookie. */
  readonly cookie: bigint
  /** Where it is connected to; IPv4 also where the socket is IPv6. */
  readonly ip: string
  readonly port: number
  /** struct inet_diag_sockid and its address family, for `close`. */
  readonly id: Buffer
  readonly family: Family
}

export interface SockDiag {
  /** Those that are connected to an address of the family. */
  connectedUdp(family: Family): UdpSocket[]
  /** A socket that is gone already is fine. */
  destroy(socket: UdpSocket): void
  close(): void
}

/** In the namespace at `netns`; undefined: the calling thread's. */
export function openSockDiag(netns?: string): SockDiag {
  const fd = inNetns(netns, () => netlinkSocket(NETLINK_SOCK_DIAG))
  const ask = (type: number, flags: number, body: Buffer) => {
    const header = Buffer.alloc(16)
    header.writeUInt32LE(16 + body.length); header.writeUInt16LE(type, 4); header.writeUInt16LE(NLM_F_REQUEST | flags, 6)
    send(fd, Buffer.concat([header, body]))
  }
  const dump = (socketFamily: Family): UdpSocket[] => {
    ask(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, request(socketFamily))
    return [...answers(fd)].map(message => udpSocket(message, socketFamily))
  }
  return {
    connectedUdp: family => (family === 6 ? dump(6).filter(({ ip }) => ip.includes(':')) : [...dump(4), ...dump(6).filter(({ ip }) => !ip.includes(':'))]),
    destroy({ id, family }) {
      ask(SOCK_DESTROY, NLM_F_ACK, Buffer.concat([request(family).subarray(0, 8), id]))
      try { for (const _ of answers(fd)); } catch (error) { if (!(error instanceof SystemError && error.code === 'ENOENT')) throw error }
    },
    close: () => closeSync(fd),
  }
}

/** struct inet_diag_req_v2 */
function request(family: Family): Buffer {
  const body = Buffer.alloc(8 + idSize)
  body[0] = family === 6 ? AF_INET6 : AF_INET
  body[1] = IPPROTO_UDP
  body.writeUInt32LE(established, 4)
  return body
}

/** The bodies of an answer's messages, until it is done. */
function* answers(fd: number): Generator<Buffer> {
  const buffer = Buffer.alloc(65_536)
  for (;;) {
    const length = receive(fd, buffer)
    for (let at = 0; at + 16 <= length;) {
      const size = buffer.readUInt32LE(at), type = buffer.readUInt16LE(at + 4)
      if (type === NLMSG_DONE) return
      if (type === NLMSG_ERROR) {
        const errno = -buffer.readInt32LE(at + 16)
        if (errno !== 0) throw new SystemError('sock_diag', errnoName(errno))
        return
      }
      yield Buffer.from(buffer.subarray(at + 16, at + size))
      at += size + 3 & ~3
    }
  }
}

/** struct inet_diag_msg: family, state, timer, retrans, then the id: ports, source, destination, interface, cookie. */
function udpSocket(message: Buffer, family: Family): UdpSocket {
  const id = message.subarray(4, 4 + idSize)
  const size = family === 6 ? 16 : 4
  return { id, family, port: id.readUInt16BE(2), ip: address(id.subarray(20, 20 + size)), cookie: id.readBigUInt64LE(40) }
}
function address(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const value = BigInt(`0x${bytes.toString('hex')}`)
  return value >> 32n === 0xffffn ? bytes.subarray(12).join('.') : formatIp({ family: 6, value })
}

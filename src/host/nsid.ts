// Whether a link leads from one network namespace directly into another: how a node tells its own
// pods' namespaces from others on the same machine. The kernel numbers the namespaces that a
// namespace has links to (RTM_GETNSID); one without a number is no neighbour.
import { closeSync } from 'node:fs'
import { errnoName, netlinkSocket, receive, send, SystemError } from './libc.ts'
import { inNetns } from './netns.ts'

const NLM_F_REQUEST = 1, NLM_F_DUMP = 0x300, NLMSG_ERROR = 2, NLMSG_DONE = 3
const RTM_GETLINK = 18, RTM_GETNSID = 90, NETNSA_NSID = 1, NETNSA_FD = 3

/** From the namespace at `netns` into the one that the descriptor `to` means. */
export function hasLinkInto(netns: string, to: number): boolean {
  const fd = inNetns(netns, () => netlinkSocket(0))
  try {
    ask(fd, RTM_GETLINK, { flags: NLM_F_DUMP, body: Buffer.alloc(16) }) // the kernel numbers neighbours when it tells of their links
    const body = Buffer.alloc(12) // struct rtgenmsg, padded, then the attribute
    body.writeUInt16LE(8, 4); body.writeUInt16LE(NETNSA_FD, 6); body.writeUInt32LE(to, 8)
    for (const message of ask(fd, RTM_GETNSID, { flags: 0, body })) {
      for (let at = 4; at + 8 <= message.length; at += Math.max(4, message.readUInt16LE(at) + 3 & ~3)) {
        if (message.readUInt16LE(at + 2) === NETNSA_NSID) return message.readInt32LE(at + 4) >= 0
      }
    }
    return false
  } finally { closeSync(fd) }
}

function ask(fd: number, type: number, { flags, body }: { flags: number; body: Buffer }): Buffer[] {
  const header = Buffer.alloc(16), buffer = Buffer.alloc(65_536), found: Buffer[] = []
  header.writeUInt32LE(16 + body.length); header.writeUInt16LE(type, 4); header.writeUInt16LE(NLM_F_REQUEST | flags, 6)
  send(fd, Buffer.concat([header, body]))
  for (;;) {
    const length = receive(fd, buffer)
    for (let at = 0; at + 16 <= length;) {
      const size = buffer.readUInt32LE(at), got = buffer.readUInt16LE(at + 4)
      if (got === NLMSG_DONE) return found
      if (got === NLMSG_ERROR) throw new SystemError('netlink', errnoName(-buffer.readInt32LE(at + 16)))
      found.push(Buffer.from(buffer.subarray(at + 16, at + size)))
      at += size + 3 & ~3
    }
    if (flags !== NLM_F_DUMP) return found
  }
}

// Elements of nftables sets and maps over netlink (nfnetlink, linux/netfilter/nf_tables.h): one
// transaction in a tenth of a millisecond, where starting nft takes ten. Only elements; tables,
// chains and rules are text, through nft.ts, which stays the readable reference: a test holds the two equal.
import { closeSync } from 'node:fs'
import { bits, parseCidr, parseIp, size, type Ip } from '#net/ip.ts'
import { CommandError } from '#lib/errors.ts'
import { errnoName, netlinkSocket, receive, send, SystemError } from './libc.ts'
import { inNetns } from './netns.ts'

const NETLINK_NETFILTER = 12, NFNL_SUBSYS_NFTABLES = 10
const NLM_F_REQUEST = 1, NLM_F_ACK = 4, NLM_F_CREATE = 0x400, NLM_F_EXCL = 0x200, NLMSG_ERROR = 2
const NFNL_MSG_BATCH_BEGIN = 16, NFNL_MSG_BATCH_END = 17
const NFT_MSG_NEWSETELEM = 12, NFT_MSG_DELSETELEM = 14, NFT_MSG_GETGEN = 16
const NFTA_SET_ELEM_LIST_TABLE = 1, NFTA_SET_ELEM_LIST_SET = 2, NFTA_SET_ELEM_LIST_ELEMENTS = 3, NFTA_LIST_ELEM = 1
const NFTA_SET_ELEM_KEY = 1, NFTA_SET_ELEM_DATA = 2, NFTA_SET_ELEM_KEY_END = 10
const NFTA_DATA_VALUE = 1, NFTA_DATA_VERDICT = 2, NFTA_VERDICT_CODE = 1, NFTA_VERDICT_CHAIN = 2, NFTA_GEN_ID = 1
const verdicts: Record<string, number> = { drop: 0, accept: 1, goto: -4, jump: -3 }
const protocols: Record<string, number> = { tcp: 6, udp: 17, sctp: 132 }
const AF_INET = 2, AF_INET6 = 10, nested = 0x8000

/** `key` and `value` as nft writes them: `10.96.0.1 . tcp . 80` and `goto cluster-ip-2`. */
export interface SetElement { readonly set: string; readonly key: string; readonly value: string }
/** How the parts of a key, and the value, are encoded. */
export interface SetType {
  readonly fields: readonly ('address' | 'proto' | 'port' | 'number' | 'range')[]
  readonly data?: 'verdict' | 'socket'
}
export interface ElementChanges {
  readonly removed: readonly SetElement[]
  readonly added: readonly SetElement[]
  readonly setOf: (name: string) => SetType
}

export interface Nftables {
  /** Deletes and adds as one transaction; throws a SystemError and changes nothing when the kernel refuses any of it. `table` is `ip NAME` or `ip6 NAME`. */
  changeElements(table: string, changes: ElementChanges): void
  /** Grows with every change of any table of this network namespace. */
  generation(): number
  close(): void
}

/** Whether an error says that something is not there any more. */
export const isGone = (error: unknown): boolean =>
  (error instanceof SystemError && error.code === 'ENOENT') || (error instanceof CommandError && error.stderr.includes('No such file or directory'))

/** A socket in the namespace at `netns` (undefined: the calling thread's). The kernel has done the work when a call returns. */
export function openNftables(netns?: string): Nftables {
  const fd = inNetns(netns, () => netlinkSocket(NETLINK_NETFILTER))
  let sequence = 0
  const message = (type: number, flags: number, body: readonly Buffer[]): Buffer => {
    const length = body.reduce((sum, part) => sum + part.length, 16)
    const header = Buffer.alloc(16)
    header.writeUInt32LE(length)
    header.writeUInt16LE(type, 4); header.writeUInt16LE(NLM_F_REQUEST | flags, 6); header.writeUInt32LE(++sequence, 8)
    return Buffer.concat([header, ...body])
  }
  const answer = Buffer.alloc(1 << 16)
  return {
    changeElements(table, { removed, added, setOf }) {
      const [family, name] = table.split(' ') as [string, string]
      const batch = nfgenmsg(0, NFNL_SUBSYS_NFTABLES), head = nfgenmsg(family === 'ip6' ? AF_INET6 : AF_INET)
      const begin = message(NFNL_MSG_BATCH_BEGIN, 0, [batch]), first = sequence
      const requests = [
        ...lists(removed).map(part => message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELSETELEM, NLM_F_ACK, [head, ...list(name, part, { setOf, withValue: false })])),
        ...lists(added).map(part => message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, [head, ...list(name, part, { setOf, withValue: true })])),
      ]
      send(fd, Buffer.concat([begin, ...requests, message(NFNL_MSG_BATCH_END, 0, [batch])]))
      let failed = ''
      for (let left = requests.length; left > 0;) {
        const length = receive(fd, answer)
        for (let at = 0; at + 20 <= length; at += align(answer.readUInt32LE(at))) {
          const own = answer.readUInt32LE(at + 8)
          if (answer.readUInt16LE(at + 4) !== NLMSG_ERROR || own < first) continue // left over from a call that failed
          // An error of the batch itself is the only answer.
          left = own === first ? 0 : left - 1
          const errno = -answer.readInt32LE(at + 16)
          if (errno !== 0) failed ||= errnoName(errno)
        }
      }
      if (failed) throw new SystemError(`nftables: elements of ${table}`, failed)
    },
    generation() {
      send(fd, message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0, [nfgenmsg(0)]))
      let length = receive(fd, answer)
      while (answer.readUInt32LE(8) < sequence) length = receive(fd, answer)
      if (answer.readUInt16LE(4) === NLMSG_ERROR) throw new SystemError('nftables: generation', errnoName(-answer.readInt32LE(16)))
      for (let at = 20; at + 8 <= length; at += align(answer.readUInt16LE(at))) if (answer.readUInt16LE(at + 2) === NFTA_GEN_ID) return answer.readUInt32BE(at + 4)
      throw new Error('nftables: an answer without a generation')
    },
    close: () => closeSync(fd),
  }
}

const align = (length: number) => length + 3 & ~3
const nfgenmsg = (family: number, resource = 0) => Buffer.from([family, 0, resource >> 8, resource & 255])

function attribute(type: number, body: Buffer | readonly Buffer[]): Buffer {
  const content = Buffer.isBuffer(body) ? body : Buffer.concat(body as Buffer[])
  const buffer = Buffer.alloc(align(4 + content.length))
  buffer.writeUInt16LE(4 + content.length); buffer.writeUInt16LE(Buffer.isBuffer(body) ? type : type | nested, 2)
  content.copy(buffer, 4)
  return buffer
}
const text = (value: string) => Buffer.from(`${value}\0`)

/** An attribute's length has 16 bits. */
const mostInList = 400
/** The elements of one set after the other, in lists that one message can hold. */
function lists(elements: readonly SetElement[]): SetElement[][] {
  return [...Map.groupBy(elements, ({ set }) => set).values()].flatMap(own =>
    Array.from({ length: Math.ceil(own.length / mostInList) }, (_, i) => own.slice(i * mostInList, (i + 1) * mostInList)))
}

function list(table: string, elements: readonly SetElement[], { setOf, withValue }: { setOf: (name: string) => SetType; withValue: boolean }): Buffer[] {
  const { set } = elements[0]!, { fields, data } = setOf(set)
  return [attribute(NFTA_SET_ELEM_LIST_TABLE, text(table)), attribute(NFTA_SET_ELEM_LIST_SET, text(set)),
    attribute(NFTA_SET_ELEM_LIST_ELEMENTS, elements.map(({ key, value }) => {
      const parts = key.split(' . ')
      const encoded = (last: boolean) => attribute(NFTA_DATA_VALUE, Buffer.concat(parts.map((part, i) => field(part, fields[i]!, last))))
      return attribute(NFTA_LIST_ELEM, [
        attribute(NFTA_SET_ELEM_KEY, [encoded(false)]),
        ...fields.includes('range') ? [attribute(NFTA_SET_ELEM_KEY_END, [encoded(true)])] : [],
        ...withValue && data ? [attribute(NFTA_SET_ELEM_DATA, [data === 'verdict' ? verdict(value) : socket(value)])] : [],
      ])
    }))]
}

function verdict(value: string): Buffer {
  const [word, chain] = value.split(' ') as [string, string?], code = Buffer.alloc(4)
  code.writeInt32BE(verdicts[word]!)
  return attribute(NFTA_DATA_VERDICT, [attribute(NFTA_VERDICT_CODE, code), ...chain ? [attribute(NFTA_VERDICT_CHAIN, text(chain))] : []])
}
const socket = (value: string) => attribute(NFTA_DATA_VALUE, Buffer.concat(value.split(' . ').map((part, i) => field(part, i === 0 ? 'address' : 'port', false))))

/** One part of a concatenation: each takes whole registers of four bytes. `last` takes the end of a range. */
function field(value: string, kind: SetType['fields'][number], last: boolean): Buffer {
  const buffer = Buffer.alloc(4)
  switch (kind) {
    case 'address': return address(parseIp(value)!)
    case 'range': {
      const cidr = parseCidr(value.includes('/') ? value : `${value}/${value.includes(':') ? 128 : 32}`)!
      return address({ ...cidr.base, value: cidr.base.value + (last ? size(cidr) - 1n : 0n) })
    }
    case 'proto': buffer[0] = protocols[value]!; return buffer
    case 'port': buffer.writeUInt16BE(Number(value)); return buffer
    case 'number': buffer.writeUInt32LE(Number(value)); return buffer // a number of numgen's is in the machine's order
  }
}

const address = ({ family, value }: Ip): Buffer => Buffer.from(value.toString(16).padStart(bits(family) / 4, '0'), 'hex')

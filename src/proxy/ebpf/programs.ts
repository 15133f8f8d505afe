// The programs that the kernel runs when a process connects, sends, receives or asks for its peer:
// they put an endpoint in the place of a Service's address and back. Pure: descriptors of maps in,
// bytes out. Loading and attaching is kernel/apply.ts.
import type { Family } from '#net/ip.ts'
import { assemble, call, exit, jump, jumpIf, jumpIf32, label, load, loadMap, op, op32, store, type Instruction, type Register } from './assembler.ts'
import { addressSize, type MapName } from './layout.ts'

export const hooks = ['connect4', 'connect6', 'sendmsg4', 'sendmsg6', 'recvmsg4', 'recvmsg6', 'getpeername4', 'getpeername6'] as const
export type Hook = typeof hooks[number]

export interface Program { readonly name: string; readonly hook: Hook; readonly code: Buffer }
export type MapDescriptors = Readonly<Record<MapName, number>>

/** Offsets in struct bpf_sock_addr and struct bpf_sock (include/uapi/linux/bpf.h). */
const context = { ip4: 4, ip6: 8, port: 24, protocol: 36, socket: 64 }, sourceIp4 = 24
const TCP = 6, UDP = 17, ECONNREFUSED = 111, createStorage = 1

/** Where a program keeps what on its stack, below r10; addresses take 16 bytes at most. */
const stack = {
  netnsCookie: -8,
  /** Key of `affinity` and `flows`: u64 who, u32 port index, u32 0. */
  who: -24,
  /** Key of `frontends`: address, port, protocol. Its first bytes are a key of `addresses`. */
  frontend: -48,
  /** What the process asked for: address, u32 port. */
  asked: -72,
  /** Key of `members`: u32 port index, then the endpoint: address, u32 port. */
  member: -96,
  /** Value of `affinity` and `flows`: u64 when, endpoint. */
  memory: -128,
  /** Key of `reverse`: u64 socket cookie, endpoint. */
  reverse: -160,
  index: -168,
  timeout: -176,
} as const
const endpoint = stack.member + 4

/** Which addresses a program sees: of its own family, or IPv4 through an IPv6 socket (`::ffff:10.96.0.1`). */
interface View { readonly family: Family; readonly mapped: boolean }
const words = (family: Family) => Array.from({ length: addressSize(family) / 4 }, (_, i) => 4 * i)
const addressAt = ({ family, mapped }: View) => family === 6 ? context.ip6 : mapped ? context.ip6 + 12 : context.ip4

/** The programs of one family's Services; IPv4 ones are also reached through IPv6 sockets. */
export function programs(family: Family, maps: MapDescriptors): Program[] {
  const make = (hook: Hook, mapped: boolean, body: (view: View, maps: MapDescriptors) => Instruction[]): Program => {
    const view = { family, mapped }
    const code = assemble([op('r6', '=', 'r1'), ...onlyOwn(hook, view), ...body(view, maps), label('out'), op('r0', '=', 1), exit])
    return { name: `fw_${hook}${mapped ? 'm' : ''}`, hook, code }
  }
  const translateSend = (view: View, all: MapDescriptors) => translate(view, all, true)
  const translateConnect = (view: View, all: MapDescriptors) => translate(view, all, false)
  if (family === 6) return [make('connect6', false, translateConnect), make('sendmsg6', false, translateSend), make('recvmsg6', false, restoreSource), make('getpeername6', false, restorePeer)]
  return [
    make('connect4', false, translateConnect), make('sendmsg4', false, translateSend), make('recvmsg4', false, restoreSource), make('getpeername4', false, restorePeer),
    // A send through an IPv6 socket to a mapped address passes sendmsg4 (udpv6_sendmsg calls udp_sendmsg).
    make('connect6', true, translateConnect), make('recvmsg6', true, restoreSource), make('getpeername6', true, restorePeer),
  ]
}

/** IPv6 hooks see mapped addresses as well. */
function onlyOwn(hook: Hook, { mapped }: View): Instruction[] {
  if (!hook.endsWith('6')) return []
  const isMapped = [
    load('w', 'r1', 'r6', context.ip6), jumpIf('r1', '!=', 0, 'not mapped'), load('w', 'r1', 'r6', context.ip6 + 4), jumpIf('r1', '!=', 0, 'not mapped'),
    load('w', 'r1', 'r6', context.ip6 + 8), jumpIf32('r1', '!=', 0xffff0000, 'not mapped'), // bytes 00 00 ff ff
  ]
  return mapped ? [...isMapped, jump('mapped'), label('not mapped'), jump('out'), label('mapped')] : [...isMapped, jump('out'), label('not mapped')]
}

const at = (register: Register, offset: number): Instruction[] => [op(register, '=', 'r10'), op(register, '+', offset)]
/** r0: the value, or 0. */
const lookup = (map: number, key: number): Instruction[] => [loadMap('r1', map), ...at('r2', key), call('map_lookup_elem')]
const update = (map: number, key: number, value: number): Instruction[] =>
  [loadMap('r1', map), ...at('r2', key), ...at('r3', value), op('r4', '=', 0), call('map_update_elem')]

interface Spot { readonly base: Register; readonly offset: number }
/** Copies an address and the 32-bit port behind it; r1 is used. */
const copyEndpoint = (family: Family, from: Spot, to: Spot): Instruction[] => [...words(family), addressSize(family)].flatMap(word =>
  [load('w', 'r1', from.base, from.offset + word), store('w', to.base, to.offset + word, 'r1')])
const onStack = (offset: number): Spot => ({ base: 'r10', offset })

/** From the context, whose address and port do not stand side by side. */
const readContext = (view: View, offset: number): Instruction[] => [
  ...words(view.family).flatMap(word => [load('w', 'r1', 'r6', addressAt(view) + word), store('w', 'r10', offset + word, 'r1')]),
  load('w', 'r1', 'r6', context.port), store('w', 'r10', offset + addressSize(view.family), 'r1'),
]
const writeContext = (view: View, { base, offset }: Spot): Instruction[] => [
  ...words(view.family).flatMap(word => [load('w', 'r1', base, offset + word), store('w', 'r6', addressAt(view) + word, 'r1')]),
  load('w', 'r1', base, offset + addressSize(view.family)), store('w', 'r6', context.port, 'r1'),
]
const socketCookie = (offset: number): Instruction[] => [op('r1', '=', 'r6'), call('get_socket_cookie'), store('dw', 'r10', offset, 'r0')]

/** connect and sendmsg. r6 context, r7 port index, r8 and r9 base and count of its slots. */
function translate(view: View, maps: MapDescriptors, isSend: boolean): Instruction[] {
  return [
    ...ofThisNode(maps), ...readContext(view, stack.asked), ...findPort(view, maps), ...readPort(maps),
    ...remembered(view, maps, isSend), ...choose(view, maps), ...remember(view, maps, isSend), ...noteAsked(view, maps, isSend),
    ...writeContext(view, onStack(endpoint)), jump('out'),
    label('refuse'), op('r1', '=', -ECONNREFUSED), call('set_retval'), op('r0', '=', 0), exit,
  ]
}

/** r9: the kind of the socket's network namespace; processes of other nodes and of the machine are left alone. */
const ofThisNode = (maps: MapDescriptors): Instruction[] => [
  op('r1', '=', 'r6'), call('get_netns_cookie'), store('dw', 'r10', stack.netnsCookie, 'r0'),
  ...lookup(maps.netns, stack.netnsCookie), jumpIf('r0', '==', 0, 'out'), load('w', 'r9', 'r0', 0),
]

/** r0: the value of `frontends` for the address asked for, or for "any of the node's" where it is one. */
function findPort(view: View, maps: MapDescriptors): Instruction[] {
  const { family } = view, a = addressSize(family), { asked, frontend } = stack
  const loopback = [
    load('b', 'r1', 'r10', frontend), jumpIf('r1', '!=', 127, 'not loopback'),
    // Bound to 127.0.0.1, a socket cannot reach an endpoint elsewhere: masquerading is for packet rules.
    load('dw', 'r1', 'r6', context.socket), load('w', 'r1', 'r1', sourceIp4), op('r1', '&', 0xff), jumpIf('r1', '==', 127, 'out'),
    store('w', 'r10', frontend, 127), // bytes 7f 00 00 00
    label('not loopback'),
  ]
  return [
    ...words(family).flatMap(word => [load('w', 'r1', 'r10', asked + word), store('w', 'r10', frontend + word, 'r1')]),
    load('w', 'r1', 'r10', asked + a), store('h', 'r10', frontend + a, 'r1'),
    load('w', 'r1', 'r6', context.protocol), jumpIf('r1', '>', 255, 'out'), store('b', 'r10', frontend + a + 2, 'r1'), store('b', 'r10', frontend + a + 3, 0),
    ...lookup(maps.frontends, frontend), jumpIf('r0', '!=', 0, 'found'),
    ...family === 4 ? loopback : [],
    ...lookup(maps.addresses, frontend), jumpIf('r0', '==', 0, 'out'), load('w', 'r1', 'r0', 0), op('r1', '&', 'r9'), jumpIf('r1', '==', 0, 'out'),
    ...words(family).map(word => store('w', 'r10', frontend + word, 0)),
    ...lookup(maps.frontends, frontend), jumpIf('r0', '==', 0, 'out'),
    label('found'),
  ]
}

const readPort = (maps: MapDescriptors): Instruction[] => [
  load('w', 'r7', 'r0', 0), store('w', 'r10', stack.index, 'r7'), store('w', 'r10', stack.member, 'r7'),
  ...lookup(maps.ports, stack.index), jumpIf('r0', '==', 0, 'out'),
  load('dw', 'r9', 'r0', 0), op32('r8', '=', 'r9'), op('r9', '>>', 32), // one load: base and count belong together
  load('dw', 'r1', 'r0', 8), store('dw', 'r10', stack.timeout, 'r1'),
  jumpIf('r9', '==', 0, 'refuse'),
]

/** Goes to `chosen` with the endpoint that this client was given before, if it still is one; a UDP socket's own to `translated`. */
function remembered(view: View, maps: MapDescriptors, isSend: boolean): Instruction[] {
  const recall = (map: number, tooOld: Instruction[], then: string): Instruction[] => [
    store('w', 'r10', stack.who + 8, 'r7'), store('w', 'r10', stack.who + 12, 0),
    ...lookup(map, stack.who), jumpIf('r0', '==', 0, 'choose'),
    load('dw', 'r1', 'r0', 0), store('dw', 'r10', stack.memory, 'r1'), ...copyEndpoint(view.family, { base: 'r0', offset: 8 }, onStack(endpoint)),
    ...tooOld, ...lookup(maps.members, stack.member), jumpIf('r0', '==', 0, 'choose'), jump(then),
  ]
  const tooOld = [
    call('ktime_get_ns'), load('dw', 'r1', 'r10', stack.memory), op('r0', '-', 'r1'),
    load('dw', 'r1', 'r10', stack.timeout), jumpIf('r0', '>', 'r1', 'choose'),
  ]
  return [
    load('dw', 'r1', 'r10', stack.timeout), jumpIf('r1', '==', 0, 'no affinity'),
    load('dw', 'r1', 'r10', stack.netnsCookie), store('dw', 'r10', stack.who, 'r1'), ...recall(maps.affinity, tooOld, 'chosen'),
    label('no affinity'),
    // What conntrack does for packets: the datagrams of one socket go to one endpoint.
    ...isSend ? [...socketCookie(stack.who), ...recall(maps.flows, [], 'translated')] : [],
  ]
}

const choose = ({ family }: View, maps: MapDescriptors): Instruction[] => [
  label('choose'),
  call('get_prandom_u32'), op32('r0', '%', 'r9'), op32('r0', '+', 'r8'), store('w', 'r10', stack.index, 'r0'),
  ...lookup(maps.slots, stack.index), jumpIf('r0', '==', 0, 'out'),
  // Never another Service's endpoint, whatever was read in the middle of a change.
  load('w', 'r1', 'r0', addressSize(family) + 4), jumpIf('r1', '!=', 'r7', 'out'),
  ...copyEndpoint(family, { base: 'r0', offset: 0 }, onStack(endpoint)),
]

function remember({ family }: View, maps: MapDescriptors, isSend: boolean): Instruction[] {
  const save = (map: number) => [...copyEndpoint(family, onStack(endpoint), onStack(stack.memory + 8)), ...update(map, stack.who, stack.memory)]
  return [
    label('chosen'),
    load('dw', 'r1', 'r10', stack.timeout), jumpIf('r1', '==', 0, 'for this socket'),
    call('ktime_get_ns'), store('dw', 'r10', stack.memory, 'r0'), ...save(maps.affinity), jump('translated'),
    label('for this socket'),
    ...isSend ? [store('dw', 'r10', stack.memory, 0), ...save(maps.flows)] : [],
    label('translated'),
  ]
}

/** Notes what the process asked for, so that recvmsg and getpeername can say it. */
function noteAsked({ family }: View, maps: MapDescriptors, isSend: boolean): Instruction[] {
  const a = addressSize(family)
  const ofDatagrams = [...socketCookie(stack.reverse), ...copyEndpoint(family, onStack(endpoint), onStack(stack.reverse + 8)), ...update(maps.reverse, stack.reverse, stack.asked)]
  if (isSend) return ofDatagrams
  return [
    load('w', 'r1', 'r6', context.protocol), jumpIf('r1', '!=', UDP, 'not udp'), ...ofDatagrams, jump('noted'),
    label('not udp'), jumpIf('r1', '!=', TCP, 'noted'),
    loadMap('r1', maps.sockets), load('dw', 'r2', 'r6', context.socket), op('r3', '=', 0), op('r4', '=', createStorage), call('sk_storage_get'),
    jumpIf('r0', '==', 0, 'noted'),
    ...copyEndpoint(family, onStack(endpoint), { base: 'r0', offset: 0 }), ...copyEndpoint(family, onStack(stack.asked), { base: 'r0', offset: a + 4 }),
    label('noted'),
  ]
}

/** recvmsg: who reads a datagram sees it come from the address that it sent to. */
function restoreSource(view: View, maps: MapDescriptors): Instruction[] {
  return [
    ...socketCookie(stack.reverse), ...readContext(view, stack.reverse + 8),
    ...lookup(maps.reverse, stack.reverse), jumpIf('r0', '==', 0, 'out'), ...writeContext(view, { base: 'r0', offset: 0 }),
  ]
}

function restorePeer(view: View, maps: MapDescriptors): Instruction[] {
  const a = addressSize(view.family)
  return [
    load('w', 'r1', 'r6', context.protocol), jumpIf('r1', '==', UDP, 'udp'),
    loadMap('r1', maps.sockets), load('dw', 'r2', 'r6', context.socket), op('r3', '=', 0), op('r4', '=', 0), call('sk_storage_get'),
    jumpIf('r0', '==', 0, 'out'),
    // The socket may have been connected elsewhere since.
    ...readContext(view, stack.asked),
    ...[...words(view.family), a].flatMap(word => [load('w', 'r1', 'r10', stack.asked + word), load('w', 'r2', 'r0', word), jumpIf('r1', '!=', 'r2', 'out')]),
    ...writeContext(view, { base: 'r0', offset: a + 4 }), jump('out'),
    label('udp'), ...restoreSource(view, maps),
  ]
}

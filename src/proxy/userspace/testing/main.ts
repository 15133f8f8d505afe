// The userspace mode as a process for tests, which start it inside the network namespace of a node
// and tell it by IPC messages what to serve: this mode proxies where its process is.
import { iptables } from '#host/iptables.ts'
import { logger } from '#lib/log.ts'
import type { Family } from '#net/ip.ts'
import { proxyConfig } from '../../config.ts'
import type { Applied, NodeOptions } from '../../dataplane.ts'
import { Metrics } from '../../metrics.ts'
import type { ProxiedPort } from '../../state.ts'
import { machine, UserspacePlane } from '../apply.ts'

export type Command =
  | { readonly do: 'start'; readonly family: Family; readonly command: string; readonly settings: readonly (readonly [string, unknown])[] }
  | { readonly do: 'apply'; readonly ports: readonly ProxiedPort[]; readonly options: NodeOptions }
  | { readonly do: 'checkFlushed' }
  | { readonly do: 'stop' }
export type Answer = { readonly applied?: Applied; readonly flushed?: boolean; readonly error?: string }

let plane: UserspacePlane
/** A port whose state did not change must be the same object as before; messages make copies. */
let known = new Map<string, ProxiedPort>()

async function obey(message: Command): Promise<Answer> {
  switch (message.do) {
    case 'start': {
      const context = { config: proxyConfig(new Map(message.settings), new Map()), metrics: new Metrics(), labels: { ip_family: `IPv${message.family}` }, log: logger('userspace') }
      plane = new UserspacePlane(iptables(message.family, message.command), context, await machine())
      return {}
    }
    case 'apply': {
      const ports = message.ports.map(port => [JSON.stringify(port), port] as const).map(([text, port]) => [text, known.get(text) ?? port] as const)
      known = new Map(ports)
      return { applied: await plane.apply(ports.map(([, port]) => port), message.options) }
    }
    case 'checkFlushed': return { flushed: await plane.checkFlushed() }
    case 'stop': return plane.stop().then(() => ({}))
  }
}

process.on('message', (message: Command) => {
  obey(message).catch((error: unknown): Answer => ({ error: error instanceof Error ? error.message : String(error) })).then(answer => process.send!(answer))
})
process.on('disconnect', () => process.exit(0))

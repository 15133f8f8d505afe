// forward: what others know is asked of them.
import { after, type Answer, type Env, type Plugin, type Result, type Serve } from '../../plugin.ts'
import { CorefileError } from '../../corefile/errors.ts'
import type { Query } from '../../query.ts'
import { isBelow } from '../../wire/name.ts'
import { nameserversOf, openLink, readTls } from './apply.ts'
import { parse, type Address, type Route } from './config.ts'
import { Forwarder } from './forwarder.ts'
import { isNoData, probe } from './reply.ts'
import { Upstream } from './upstream.ts'

const takes = ({ from, except }: Route, query: Query): boolean => isBelow(query.name, from) && !except.some(zone => isBelow(query.name, zone))
const showAddress = ({ host, port }: Address) => host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

function addresses({ to }: Route, env: Env): Address[] {
  return to.flatMap(to => {
    if ('host' in to) return [to]
    let found: string[]
    try { found = nameserversOf(to.file) } catch (error) {
      throw new CorefileError(to.token, `cannot read ${to.file}, which is neither an IP address nor a file of nameservers: ${(error as Error).message}`)
    }
    if (found.length === 0) env.log.warn('the file names no nameserver: names that would be forwarded get SERVFAIL', { file: to.file })
    return found.map(host => ({ transport: 'dns' as const, host, port: 53 }))
  })
}

function open(route: Route, env: Env): Forwarder {
  const all = addresses(route, env)
  const tls = all.some(({ transport }) => transport === 'tls') ? readTls(route.tls) : undefined
  const count = (what: 'hits' | 'misses', to: string) => (proto: string) =>
    env.metrics.counter(`coredns_proxy_conn_cache_${what}_total`, `Counter of connection cache ${what} per upstream and protocol.`, ['proxy_name', 'to', 'proto']).with('forward', to, proto).inc()
  const upstreams = all.map(address => {
    const to = showAddress(address), serverName = address.serverName ?? route.serverName
    const link = openLink(address, { expire: route.expire, maxIdle: route.maxIdle, source: route.source, tls: tls && { ...tls, ...(serverName !== undefined && { servername: serverName }) }, hit: count('hits', to), miss: count('misses', to) })
    return new Upstream({ to, link, probe: probe(route.health), interval: route.health.interval, maxFails: route.maxFails, tcp: route.forceTcp }, env)
  })
  return new Forwarder(route, upstreams, env)
}

export const plugin: Plugin<readonly Route[]> = {
  name: 'forward',
  parse,
  listen: () => ({ chaos: true }),
  setup(routes, env) {
    let running: { readonly route: Route; readonly forwarder: Forwarder }[] = []
    /** The first route from `at` on that takes the query. */
    const ask = (query: Query, at: number, next: Serve): Result => {
      const found = running.findIndex(({ route }, i) => i >= at && takes(route, query))
      if (found < 0) return next(query)
      const { route, forwarder } = running[found]!
      if (route.next.size === 0 && !route.nextOnNoData) return forwarder.ask(query)
      const goesOn = (answer: Answer) => route.next.has(answer.rcode) || (route.nextOnNoData && isNoData(answer))
      const hasOther = running.some(({ route }, i) => i > found && takes(route, query))
      return after(forwarder.ask(query), answer => hasOther && goesOn(answer) ? ask(query, found + 1, next) : answer)
    }
    return {
      name: 'forward',
      start() { running = routes.map(route => ({ route, forwarder: open(route, env) })) },
      stop: async () => { await Promise.all(running.map(({ forwarder }) => forwarder.close())) },
      serve: next => query => ask(query, 0, next),
    }
  },
}

// IPVS in memory, for tests: keeps virtual servers and the addresses of interfaces, refuses what the
// real commands refuse in their words, and prints what `ipvsadm -S -n`, `ipvsadm -L -n` and `ip` print, but
// in the order in which things came.
// A parity test feeds it and the real commands the same text.
import { CommandError } from '#lib/errors.ts'
import type { Ipvs } from './ipvs.ts'

interface HeldServer { options: string; readonly endpoints: Map<string, number> }

const schedulers = ['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'sh', 'dh', 'sed', 'nq', 'mh']
const protocols: Record<string, string> = { '-t': 'TCP', '-u': 'UDP', '--sctp-service': 'SCTP' }

export class FakeIpvs implements Ipvs {
  readonly #servers = new Map<string, HeldServer>()
  readonly #interfaces = new Map<string, string[]>()
  readonly #sysctls = new Map<string, string>()
  /** Every text that was restored or given to ip, failed ones too. */
  readonly restored: string[] = []
  timeouts: string | undefined
  /** `-t 10.96.0.1:80 -r 10.244.1.2:80` to its active connections. */
  readonly connections = new Map<string, number>()
  /** Called with each line before it takes effect; may throw to fail there. */
  onLine: (line: string) => void = () => {}

  constructor(interfaces: Iterable<readonly [string, string[]]> = []) { this.#interfaces = new Map(interfaces) }

  async save(): Promise<string> {
    return [...this.#servers].flatMap(([key, { options, endpoints }]) => [`-A ${key} ${options}`, ...[...endpoints].map(([endpoint, weight]) => `-a ${key} -r ${endpoint} -m -w ${weight}`)]).map(line => `${line}\n`).join('')
  }

  async list(_keys: readonly string[]): Promise<string> {
    const head = 'IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n'
    return head + [...this.#servers].flatMap(([key, { options, endpoints }]) => {
      const [flag, address] = key.split(' ') as [string, string]
      const words = options.replace(/^-s /, '').replace(/-p (\d+)/, 'persistent $1').replace(/-b (\S+)/, '($1)')
      return [`${protocols[flag]!.padEnd(4)} ${address} ${words}`,
        ...[...endpoints].map(([endpoint, weight]) => `  -> ${endpoint.padEnd(28)} Masq    ${String(weight).padEnd(6)} ${String(this.connections.get(`${key} -r ${endpoint}`) ?? 0).padEnd(10)} ${'0'.padEnd(10)}`)]
    }).map(line => `${line}\n`).join('')
  }

  async restore(text: string): Promise<void> {
    this.restored.push(text)
    const errors: string[] = []
    for (const line of text.split('\n')) {
      if (line === '') continue
      this.onLine(line)
      const why = this.#run(line)
      if (why) errors.push(why)
    }
    if (errors.length > 0) throw new CommandError(['ipvsadm', '-R'], 1, errors.map(error => `${error}\n`).join(''))
  }

  async setTimeouts({ tcp, tcpFin, udp }: { tcp: number; tcpFin: number; udp: number }): Promise<void> { this.timeouts = `${tcp} ${tcpFin} ${udp}` }

  async interfaces(): Promise<Map<string, string[]>> { return new Map([...this.#interfaces].map(([name, addresses]) => [name, [...addresses]])) }

  async ip(text: string): Promise<void> {
    this.restored.push(text)
    text.split('\n').forEach((line, i) => {
      if (line === '') return
      this.onLine(line)
      const why = this.#ip(line.split(' '))
      if (why) throw new CommandError(['ip', '-batch', '-'], 1, `${why}\nCommand failed -:${i + 1}`)
    })
  }

  async sysctls(names: readonly string[]): Promise<Map<string, string>> { return new Map(names.map(name => [name, this.#sysctls.get(name) ?? '0'])) }
  async setSysctl(name: string, value: string | number): Promise<void> { this.#sysctls.set(name, String(value)) }

  /** Of another program. */
  setAddresses(name: string, addresses: string[]): void { this.#interfaces.set(name, addresses) }

  #run(line: string): string | undefined {
    const [, verb, key = '', rest = ''] = /^(-\w) ((?:-t|-u|--sctp-service) \S+)(.*)$/.exec(line) ?? []
    const server = this.#servers.get(key), [, endpoint = '', weight] = /-r (\S+)(?: -m -w (\d+))?/.exec(rest) ?? []
    if (verb === '-A' || verb === '-E') {
      if (verb === '-A' && server) return 'Service already exists'
      if (verb === '-E' && !server) return 'No such service'
      if (!schedulers.includes(/-s (\S+)/.exec(rest)?.[1] ?? '')) return 'Scheduler or persistence engine not found'
      if (server) server.options = rest.trim()
      else this.#servers.set(key, { options: rest.trim(), endpoints: new Map() })
      return undefined
    }
    if (!verb) return "Try `ipvsadm -h' or 'ipvsadm --help' for more information."
    if (!server) return verb === '-D' ? 'No such service' : 'Service not defined'
    if (verb === '-D') this.#servers.delete(key)
    else if (verb === '-a' && server.endpoints.has(endpoint)) return 'Destination already exists'
    else if ((verb === '-e' || verb === '-d') && !server.endpoints.has(endpoint)) return 'No such destination'
    else if (verb === '-d') server.endpoints.delete(endpoint)
    else server.endpoints.set(endpoint, Number(weight))
    return undefined
  }

  #ip([object, verb, what, , device = '']: string[]): string | undefined {
    if (object === 'link') {
      const name = what!
      if (verb === 'add') return this.#interfaces.has(name) ? 'RTNETLINK answers: File exists' : (this.#interfaces.set(name, []), undefined)
      return this.#interfaces.delete(name) ? undefined : `Cannot find device "${name}"`
    }
    const addresses = this.#interfaces.get(device), address = what!.split('/')[0]!
    if (!addresses) return `Cannot find device "${device}"`
    const at = addresses.indexOf(address)
    if (verb === 'add') return at >= 0 ? 'RTNETLINK answers: File exists' : (addresses.push(address), undefined)
    return at < 0 ? 'RTNETLINK answers: Cannot assign requested address' : (addresses.splice(at, 1), undefined)
  }
}

// A listener: the sockets of one transport, host and port, before one front. It outlives reloads.
import { networkInterfaces } from 'node:os'
import { UserError } from '#lib/errors.ts'
import type { Front } from '../front.ts'
import { udpAddresses, wildcards } from './addresses.ts'
import { listenTcp, type OpenStream, type TcpOptions } from './tcp/server.ts'
import { listenUdp } from './udp/server.ts'
import type { TlsFiles } from './tls.ts'
import type { Transport } from '../corefile/zones.ts'

export interface ListenerOptions extends TcpOptions {
  readonly transport: Transport
}
interface Open { readonly port: number; close(): Promise<void> }

/** How often new addresses of this machine are looked for. */
const rescan = 5000

export class Listener {
  readonly front: Front
  readonly #options: ListenerOptions
  readonly #udp = new Map<string, Open>()
  readonly #streams: OpenStream[] = []
  #timer: NodeJS.Timeout | undefined
  port = 0

  private constructor(front: Front, options: ListenerOptions) {
    this.front = front
    this.#options = options
  }

  static async open(front: Front, options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(front, options)
    try { await listener.#open() } catch (error) {
      await listener.close()
      const { code, message } = error as NodeJS.ErrnoException
      const hint = code === 'EADDRINUSE' ? ': another program has this port' : code === 'EACCES' ? ': ports below 1024 need root or CAP_NET_BIND_SERVICE' : code === 'EADDRNOTAVAIL' ? ': this machine has no such address' : ''
      throw new UserError(`cannot listen on ${options.transport}://${options.host || '*'}:${options.port}${hint} (${message})`)
    }
    return listener
  }

  /** With port 0 the kernel picks one for TCP that UDP may not have: then another is tried. */
  async #open(): Promise<void> {
    const { transport, port } = this.#options
    for (let tries = port === 0 ? 10 : 1; ; tries--) {
      try {
        await this.#openStreams()
        this.port = this.#streams[0]!.port
        if (transport === 'dns') await this.#openUdp()
        break
      } catch (error) {
        if (tries === 1 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
        await this.close()
      }
    }
    if (transport !== 'dns' || this.#options.host !== '') return
    this.#timer = setInterval(() => { this.#openUdp().catch(error => this.#options.log.warn('a new address is not served by its own socket', { error: (error as Error).message })) }, rescan).unref()
  }

  async #openStreams(): Promise<void> {
    const { transport, host } = this.#options
    // HTTP/2 costs memory: it is loaded where it is served.
    const listen = transport === 'https' ? (await import('./https/server.ts')).listenHttps : listenTcp
    // `::` takes both families, where the machine has IPv6.
    const hosts = host === '' ? ['::', '0.0.0.0'] : [host]
    for (const [index, each] of hosts.entries()) {
      try { this.#streams.push(await listen(this.front, { ...this.#options, host: each })); return } catch (error) {
        if (index === hosts.length - 1 || (error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') throw error
      }
    }
  }

  async #openUdp(): Promise<void> {
    const { host, shared, log } = this.#options
    const addresses = udpAddresses(host, networkInterfaces())
    for (const address of addresses) {
      if (this.#udp.has(address)) continue
      try {
        this.#udp.set(address, await listenUdp(this.front, { host: address, port: this.port, shared: shared || addresses.length > 1, log }))
      } catch (error) {
        // An address may have gone, or wait for IPv6's duplicate detection; the wildcard serves it meanwhile.
        const { code } = error as NodeJS.ErrnoException
        if (host === '' && (address === '::' ? code === 'EAFNOSUPPORT' : !wildcards.includes(address as '::') && code === 'EADDRNOTAVAIL')) continue
        throw error
      }
    }
    for (const [address, socket] of this.#udp) {
      if (addresses.includes(address)) continue
      this.#udp.delete(address)
      void socket.close()
    }
  }

  /** Where it listens: `udp 127.0.0.1:1053`. */
  addresses(): string[] {
    return [...this.#udp].map(([host, { port }]) => `udp ${host}:${port}`)
  }

  /** After a reload: a renewed certificate is used from the next connection on. */
  renew(tls: TlsFiles): void { for (const stream of this.#streams) stream.renew(tls) }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all([...this.#udp.values(), ...this.#streams].map(open => open.close()))
    this.#udp.clear()
    this.#streams.length = 0
  }
}

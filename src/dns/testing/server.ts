// A whole server for tests, on loopback ports that the kernel picks. Write `bind 127.0.0.1` into the
// Corefile: without it every address of the machine is listened on.
import { silent } from '#lib/log.ts'
import { DnsServer } from '../server.ts'

export interface TestServer {
  readonly server: DnsServer
  /** Of the first listener; UDP and TCP alike. */
  readonly port: number
  /** What `log` and `errors` wrote. */
  readonly printed: string[]
}

/** Server blocks that name no port get one of their own from the kernel, one for all of them. */
export async function testServer(corefile: string | (() => string), { file = 'Corefile' } = {}): Promise<TestServer> {
  const printed: string[] = []
  const server = await DnsServer.start({
    corefile: () => ({ text: typeof corefile === 'string' ? corefile : corefile(), file }),
    port: 0, log: silent, print: line => { printed.push(line) }, fatal: message => { printed.push(`fatal: ${message}`) },
  })
  return { server, port: server.port(), printed }
}

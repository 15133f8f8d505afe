// agnhost porter: for every SERVE_PORT_N in the environment, a server on port N that answers any
// request with the variable's value.
import { readFile } from 'node:fs/promises'
import { bool, parseFlags } from '../flags.ts'
import { goJson, text } from '../http.ts'
import type { Request, Response } from '../http.ts'
import { listenHttp, listenUdp, log, serveUntilSignal } from '../server.ts'
import type { Listening } from '../server.ts'
import { portsOf } from './ports.ts'
import type { Port } from './ports.ts'

const everywhere = '0.0.0.0' // as upstream; porter has no IPv6

export async function run(argv: string[]): Promise<number> {
  const { values } = parseFlags(argv, { 'json-response': bool(false) })
  return serveUntilSignal(await start(process.env, values['json-response']))
}

/** A port that cannot be served is logged, and the others are. */
export async function start(environment: NodeJS.ProcessEnv, json: boolean): Promise<Listening[]> {
  const { ports, invalid } = portsOf(environment)
  for (const name of invalid) log(`${name} names no port from 1 to 65535`)
  const started = await Promise.allSettled(ports.map(port => serve(port, environment, json)))
  return started.flatMap((result, i) => {
    if (result.status === 'fulfilled') return [result.value]
    log(`server on port "${ports[i]!.port}" failed: ${String(result.reason)}`)
    return []
  })
}

async function serve({ protocol, port, value }: Port, environment: NodeJS.ProcessEnv, json: boolean): Promise<Listening> {
  const answer = (request: Request): Response => json
    ? { status: 200, headers: { 'Content-Type': 'application/json' }, body: goJson({ Method: request.method, Body: value }) } : text(value)
  switch (protocol) {
    case 'tcp': return listenHttp(port, answer, { host: everywhere })
    case 'udp': return listenUdp(port, () => value, everywhere)
    case 'sctp': throw new Error("Fairway's porter does not speak SCTP")
    case 'tls': return listenHttp(port, answer, { host: everywhere, tls: {
      cert: await readFile(environment.CERT_FILE || 'localhost.crt'), key: await readFile(environment.KEY_FILE || 'localhost.key') } })
  }
}

// agnhost test-webserver: serves any file of its container.
import { int, parseFlags } from '../flags.ts'
import { listen, serveUntilSignal } from '../server.ts'
import { serveFiles } from '../static/apply.ts'
import { site } from './site.ts'

export async function run(argv: string[]): Promise<number> {
  const { values } = parseFlags(argv, { port: int(80) })
  return serveUntilSignal([await listen(values.port, serveFiles(site('')))])
}

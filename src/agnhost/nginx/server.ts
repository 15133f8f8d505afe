// agnhost nginx: the web server behind the image nginx where the machine has no nginx. It serves the
// same html path on port 80 and refuses any configuration of its own rather than ignoring it.
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '#lib/errors.ts'
import { listen, serveUntilSignal } from '../server.ts'
import type { Listening } from '../server.ts'
import { serveFiles } from '../static/apply.ts'
import { htmlRoot, refuseConfiguration, request, site } from './site.ts'

export async function run(argv: string[]): Promise<number> {
  const asked = request(argv)
  switch (asked.kind) {
    case 'print': process.stderr.write(`${asked.text}\n`); return 0
    case 'refuse': throw new UserError(asked.text)
    case 'signal': process.kill(1, asked.signal); return 0
    case 'serve': return serveUntilSignal([await start(80, htmlRoot, '/etc/nginx/conf.d')], 30_000)
  }
}

export async function start(port: number, root: string, configuration: string): Promise<Listening> {
  const names = await readdir(configuration).catch(() => [])
  const files = await Promise.all(names.filter(name => name.endsWith('.conf')).map(async name => ({ name, text: await readFile(join(configuration, name), 'utf8') })))
  const problem = refuseConfiguration(files)
  if (problem !== undefined) throw new UserError(problem)
  return listen(port, serveFiles(site(root), line => process.stdout.write(`${line}\n`)))
}

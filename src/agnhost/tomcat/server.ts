// agnhost tomcat: the web server behind the image tomcat, as `catalina.sh run`.
import { readdir } from 'node:fs/promises'
import { UserError } from '#lib/errors.ts'
import { listen, log, serveUntilSignal } from '../server.ts'
import type { Listening } from '../server.ts'
import { serveFiles } from '../static/apply.ts'
import { site } from './site.ts'

export async function run([verb = 'run']: string[]): Promise<number> {
  if (verb !== 'run' && verb !== 'start') throw new UserError(`catalina.sh ${verb}: Fairway's stand-in for Tomcat knows "run" alone`)
  const home = process.env.CATALINA_HOME ?? '/usr/local/tomcat'
  const server = await start(8080, `${home}/webapps`, process.env.TOMCAT_VERSION ?? '')
  log(`INFO [main] Server startup in [${Math.round(performance.now())}] milliseconds (Fairway's stand-in for Tomcat)`)
  return serveUntilSignal([server])
}

/** Applications that are put into `webapps` later are found when the server starts again. */
export async function start(port: number, webapps: string, version: string): Promise<Listening> {
  const entries = await readdir(webapps, { withFileTypes: true }).catch(() => [])
  return listen(port, serveFiles(site(webapps, new Set(entries.filter(entry => entry.isDirectory()).map(entry => entry.name)), version)))
}

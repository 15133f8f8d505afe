// `fairway agnhost NAME ARGS`: the programs inside the built-in images. Each is loaded only when
// it is the one asked for.
import { UserError } from '#lib/errors.ts'

type Program = (argv: string[]) => Promise<number>

const programs: Record<string, { load: () => Promise<{ run: Program }>; what: string }> = {
  'connect': { load: () => import('./connect/main.ts'), what: 'tries a TCP or UDP connection and says how it failed' },
  'dns-server-list': { load: async () => ({ run: (await import('./dns/main.ts')).serverList }), what: "prints this host's DNS servers" },
  'dns-suffix': { load: async () => ({ run: (await import('./dns/main.ts')).suffixes }), what: "prints this host's DNS search list" },
  'etc-hosts': { load: async () => ({ run: (await import('./dns/main.ts')).hosts }), what: "prints this host's /etc/hosts" },
  'netexec': { load: () => import('./netexec/server.ts'), what: 'HTTP and UDP servers that do what the request says' },
  'nginx': { load: () => import('./nginx/server.ts'), what: "stands in for nginx where there is none: serves nginx's html path" },
  'pause': { load: () => import('./pause/main.ts'), what: 'does nothing until a signal' },
  'porter': { load: () => import('./porter/server.ts'), what: 'serves the value of SERVE_PORT_NNNN on port NNNN' },
  'serve-hostname': { load: () => import('./serve-hostname/server.ts'), what: 'answers the host name over HTTP, TCP or UDP' },
  'test-webserver': { load: () => import('./test-webserver/server.ts'), what: 'serves the files of this container' },
  'tomcat': { load: () => import('./tomcat/server.ts'), what: 'stands in for Tomcat: serves the files of its web applications' },
}

export async function main([name = 'help', ...argv]: string[]): Promise<number> {
  const program = Object.hasOwn(programs, name) ? programs[name] : undefined
  if (program) return (await program.load()).run(argv)
  const list = Object.entries(programs).map(([name, { what }]) => `  ${name.padEnd(16)} ${what}\n`).join('')
  if (!['help', '--help', '-h'].includes(name)) throw new UserError(`unknown command "${name}" for "agnhost"; there are:\n${list}`)
  process.stdout.write(`usage: agnhost NAME [FLAGS]\n\n${list}`)
  return 0
}

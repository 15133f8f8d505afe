// What the stand-in for nginx looks like from outside: its pages and headers, and what it says when
// it is asked for more than it can do. Pure.
import type { Site } from '../static/files.ts'
import { nginxTag, typeOf } from '../static/files.ts'

export const htmlRoot = '/usr/share/nginx/html'
const name = 'nginx (Fairway stand-in)'

const words: Record<number, string> = { 400: 'Bad Request', 403: 'Forbidden', 404: 'Not Found', 405: 'Not Allowed', 416: 'Requested Range Not Satisfiable' }

export const site = (root: string): Site => ({
  locate: path => root + path,
  index: ['index.html', 'index.htm'],
  headers: { Server: name },
  typeOf: file => typeOf(file) ?? 'application/octet-stream',
  entityTag: nginxTag,
  readOnly: true,
  conditional: true,
  errorPage: status => ({ type: 'text/html', body: `<html>\r\n<head><title>${status} ${words[status]}</title></head>\r\n<body>\r\n<center><h1>${status} ${words[status]}</h1></center>\r\n<hr><center>${name}</center>\r\n</body>\r\n</html>\r\n` }),
})

export type Request = { readonly kind: 'serve' } | { readonly kind: 'print'; readonly text: string } | { readonly kind: 'signal'; readonly signal: 'SIGQUIT' | 'SIGTERM' } | { readonly kind: 'refuse'; readonly text: string }

/** nginx's own command line: `-g 'daemon off;'` serves, `-v` prints, `-t` tests, `-s quit` stops process 1. */
export function request(argv: readonly string[]): Request {
  const joined = argv.join(' ')
  if (/(^| )-[vV]( |$)/.test(joined)) return { kind: 'print', text: `nginx version: ${name}` }
  if (/(^| )-[tT]( |$)/.test(joined)) return { kind: 'print', text: 'nginx: the stand-in has no configuration to test' }
  const signal = /(?:^| )-s (\w+)/.exec(joined)?.[1]
  if (signal === 'quit' || signal === 'stop') return { kind: 'signal', signal: signal === 'quit' ? 'SIGQUIT' : 'SIGTERM' }
  if (signal !== undefined || /(^| )-[cp] /.test(joined)) return refuse(`nginx ${joined}`)
  const directives = /(?:^| )-g (.*)$/s.exec(joined)?.[1] ?? ''
  const other = directives.split(';').map(text => text.trim()).filter(text => text !== '' && !/^(daemon|master_process|worker_processes|user|pid|error_log)\s/.test(text))
  return other.length === 0 ? { kind: 'serve' } : refuse(`-g '${other.join('; ')};'`)
}

const refuse = (what: string): Request => ({ kind: 'refuse', text: `nginx stand-in: ${what} needs the real nginx. Install it (apt install nginx-light) or load an image (fairway image load)` })

/** The site file that an untouched image holds, without white space. */
const untouched = 'server{listen80;listen[::]:80;server_namelocalhost;location/{root/usr/share/nginx/html;indexindex.htmlindex.htm;}error_page500502503504/50x.html;location=/50x.html{root/usr/share/nginx/html;}}'

/** Why the files in conf.d cannot be served; undefined when they say what this server does anyway. */
export function refuseConfiguration(files: readonly { readonly name: string; readonly text: string }[]): string | undefined {
  const changed = files.find(({ text }) => !['', untouched, untouched.replace('listen[::]:80;', '')].includes(text.replace(/#.*/g, '').replace(/\s+/g, '')))
  return changed && (refuse(`the configuration /etc/nginx/conf.d/${changed.name}`) as { text: string }).text
}

// What the stand-in for Tomcat looks like from outside: web applications are directories of files
// below webapps, ROOT the one without a name. Pure.
import type { Site } from '../static/files.ts'
import { tomcatTag, typeOf } from '../static/files.ts'

const words: Record<number, string> = { 400: 'Bad Request', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 416: 'Range Not Satisfiable' }
const escape = (text: string) => text.replace(/[&<>"]/g, char => `&#${char.charCodeAt(0)};`)

/** `applications` are the names of the directories in webapps. */
export const site = (webapps: string, applications: ReadonlySet<string>, version: string): Site => ({
  locate: path => {
    const first = path.split('/')[1]!
    if (/^\/[^/]*\/(WEB|META)-INF(\/|$)/i.test(path) || /^\/(WEB|META)-INF(\/|$)/i.test(path)) return `${webapps}/.absent`
    return first !== 'ROOT' && applications.has(first) ? webapps + path : `${webapps}/ROOT${path}`
  },
  index: ['index.html', 'index.htm'],
  headers: {},
  typeOf: file => typeOf(file) ?? 'application/octet-stream',
  entityTag: tomcatTag,
  readOnly: false,
  conditional: true,
  errorPage: (status, path) => ({ type: 'text/html;charset=utf-8', body: `<!doctype html><html lang="en"><head><title>HTTP Status ${status} – ${words[status]}</title></head><body><h1>HTTP Status ${status} – ${words[status]}</h1><hr class="line" /><p><b>Type</b> Status Report</p><p><b>Message</b> The requested resource [${escape(path)}] is not available</p><hr class="line" /><h3>Apache Tomcat/${version} (Fairway stand-in)</h3></body></html>` }),
})

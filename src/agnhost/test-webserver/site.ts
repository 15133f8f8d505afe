// test-webserver's answers: Go's http.FileServer over the whole container, never cached. Pure.
import type { Site } from '../static/files.ts'
import { typeOf } from '../static/files.ts'

const escape = (text: string) => text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)

export const site = (root: string): Site => ({
  locate: path => root + path,
  index: ['index.html'],
  headers: {
    'Cache-Control': 'private', 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'true', 'Access-Control-Allow-Methods': 'GET, POST, OPTIONS',
    'Access-Control-Allow-Headers': 'DNT,X-Mx-ReqToken,Keep-Alive,User-Agent,X-Requested-With,Cache-Control,Content-Type',
  },
  typeOf: file => { const type = typeOf(file) ?? 'text/plain'; return type.startsWith('text/') ? `${type}; charset=utf-8` : type },
  entityTag: () => undefined,
  readOnly: false,
  conditional: false, // upstream drops If-Modified-Since
  listing: names => `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${names.map(name => `<a href="${encodeURI(name).replace(/^(?=[^/]*:)/, './')}">${escape(name)}</a>\n`).join('')}</pre>\n`,
  errorPage: status => ({ type: 'text/plain; charset=utf-8', body: status === 404 ? '404 page not found\n' : `${status}\n` }),
})

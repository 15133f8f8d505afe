// Where the API server is and who we are: a kubeconfig file, or the files that a pod has mounted.
// What a kubeconfig can say and we cannot do (exec plugins, basic authentication, proxies) is
// refused by name. KUBECONFIG lists are not merged: one file.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { UserError } from '#lib/errors.ts'
import { parseYaml } from '#lib/yaml.ts'
import type { HttpsOptions } from './https.ts'

export interface Kubeconfig extends HttpsOptions {
  /** The context's namespace. */
  readonly namespace: string
}

type Fields = Record<string, unknown>

/** Reads a kubeconfig's current context, or the named one. Throws a UserError that names the file. */
export function readKubeconfig(file: string, context?: string): Kubeconfig {
  let text: string
  try { text = readFileSync(file, 'utf8') } catch (error) {
    throw new UserError(`cannot read the kubeconfig ${file}: ${(error as Error).message}`)
  }
  return parseKubeconfig(text, file, context)
}

/** As `readKubeconfig`; relative paths in the text are relative to the file's folder. */
export function parseKubeconfig(text: string, file: string, context?: string): Kubeconfig {
  const config = parseFields(text, file)
  const name = context ?? config['current-context']
  if (typeof name !== 'string' || name === '') throw new UserError(`${file}: current-context is not set: name a context`)
  const chosen = entry(config, file, 'contexts', 'context', name)
  const cluster = entry(config, file, 'clusters', 'cluster', String(chosen.cluster ?? ''))
  const user = chosen.user ? entry(config, file, 'users', 'user', String(chosen.user)) : {}
  refuse(file, cluster, ['proxy-url'])
  refuse(file, user, ['exec', 'auth-provider', 'username', 'password', 'as', 'as-uid', 'as-groups', 'as-user-extra'])
  if (typeof cluster.server !== 'string') throw new UserError(`${file}: the cluster ${JSON.stringify(chosen.cluster)} has no server`)
  if (!URL.canParse(cluster.server)) throw new UserError(`${file}: the cluster's server is no URL: ${cluster.server}`)
  const ca = material(file, cluster, 'certificate-authority'), cert = material(file, user, 'client-certificate'), key = material(file, user, 'client-key')
  const token = tokenOf(file, user)
  return { server: cluster.server, namespace: typeof chosen.namespace === 'string' ? chosen.namespace : 'default',
    ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), ...(token && { token }),
    ...(typeof cluster['tls-server-name'] === 'string' && { tlsServerName: cluster['tls-server-name'] }),
    ...(cluster['insecure-skip-tls-verify'] === true && { insecureSkipTlsVerify: true }) }
}

function parseFields(text: string, file: string): Fields {
  let value: unknown
  try { value = parseYaml(text, file) } catch (error) { throw new UserError((error as Error).message) }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UserError(`${file}: this is no kubeconfig`)
  return value as Fields
}

function entry(config: Fields, file: string, list: string, field: string, name: string): Fields {
  const entries = Array.isArray(config[list]) ? config[list] as Fields[] : []
  const found = entries.find(item => item.name === name)?.[field]
  if (typeof found === 'object' && found !== null) return found as Fields
  const names = entries.map(item => String(item.name))
  throw new UserError(`${file}: no ${field} named ${JSON.stringify(name)}${names.length > 0 ? `: there are ${names.join(', ')}` : ''}`)
}

function refuse(file: string, fields: Fields, unsupported: string[]): void {
  const found = unsupported.find(field => fields[field] !== undefined)
  if (found) throw new UserError(`${file}: ${found} is not supported: use a client certificate, a token or a tokenFile`)
}

/** `certificate-authority-data` (base64), which wins, or the file that `certificate-authority` names. */
function material(file: string, fields: Fields, name: string): Buffer | undefined {
  const data = fields[`${name}-data`]
  if (typeof data === 'string' && data !== '') return Buffer.from(data, 'base64')
  const path = fields[name]
  if (typeof path !== 'string' || path === '') return undefined
  try { return readFileSync(resolve(dirname(file), path)) } catch (error) {
    throw new UserError(`${file}: cannot read ${name}: ${(error as Error).message}`)
  }
}

function tokenOf(file: string, user: Fields): HttpsOptions['token'] {
  if (typeof user.tokenFile === 'string' && user.tokenFile !== '') return fileToken(resolve(dirname(file), user.tokenFile)) // tokenFile wins, as in client-go
  return typeof user.token === 'string' && user.token !== '' ? user.token : undefined
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount'

/** What a pod finds: KUBERNETES_SERVICE_HOST and _PORT, and its mounted service account. */
export function inClusterConfig(env: Readonly<Record<string, string | undefined>> = process.env, folder = serviceAccount): Kubeconfig {
  const host = env.KUBERNETES_SERVICE_HOST, port = env.KUBERNETES_SERVICE_PORT
  if (!host || !port) throw new UserError('not inside a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: give a kubeconfig')
  const ca = `${folder}/ca.crt`, namespace = `${folder}/namespace`
  if (!existsSync(`${folder}/token`)) throw new UserError(`no service account token at ${folder}/token: the pod's automountServiceAccountToken may be off`)
  return { server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`, token: fileToken(`${folder}/token`),
    namespace: existsSync(namespace) ? readFileSync(namespace, 'utf8').trim() : 'default',
    ...(existsSync(ca) && { ca: readFileSync(ca) }) }
}

/** Reads the token again whenever its file changed; the kubelet replaces it long before it expires. */
function fileToken(file: string): () => string {
  let known = { mtime: -1, token: '' }
  return () => {
    const mtime = statSync(file).mtimeMs
    if (mtime !== known.mtime) known = { mtime, token: readFileSync(file, 'utf8').trim() }
    return known.token
  }
}

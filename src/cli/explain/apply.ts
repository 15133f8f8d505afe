// `fairway explain service NAME`: reads the objects from the API, and where the cluster runs on this
// machine the sockets of the pods' networks; explain.ts decides and text.ts prints.
import type { ConfigMap, Endpoints, Event, Node, Pod, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { selects, type KubeObject } from '#api/object.ts'
import { resources, type Resource } from '#api/resources.ts'
import { Client } from '#client/client.ts'
import { httpsTransport } from '#client/https.ts'
import { readKubeconfig, type Kubeconfig } from '#client/kubeconfig.ts'
import { run } from '#host/run.ts'
import { UserError, isForbidden, isNotFound } from '#lib/errors.ts'
import { toYaml } from '#lib/yaml.ts'
import { clusterFiles } from '#up/paths.ts'
import type { RunFile } from '#up/runfile.ts'
import { clusterFlags, clusterOf, parseFlags, type Parsed } from '../flags.ts'
import { intoCluster } from '../shell/apply.ts'
import { explain } from './explain.ts'
import type { Explanation, Objects, Observations, Workload } from './explanation.ts'
import { nearest } from './likeness.ts'
import { lookScript, socketsByAddress } from './sockets.ts'
import { text } from './text.ts'

const flags = { ...clusterFlags, namespace: { type: 'string', short: 'n' }, output: { type: 'string', short: 'o' },
  kubeconfig: { type: 'string' }, context: { type: 'string' } } as const

export async function explainCommand(argv: string[]): Promise<number> {
  const { values, words } = parseFlags('explain', argv, flags)
  const name = serviceName(words), output = values.output
  if (output !== undefined && output !== 'json' && output !== 'yaml') throw new UserError(`-o ${String(output)}: use json or yaml`)
  const { config, own } = target(values)
  const transport = httpsTransport(config)
  try {
    const client = new Client(transport)
    const explanation = await look(client, { name, namespace: String(values.namespace ?? config.namespace), own, flags: ownFlags(values) })
    process.stdout.write(output === 'json' ? `${JSON.stringify(explanation, undefined, 2)}\n` : output === 'yaml' ? toYaml(explanation) : text(explanation))
    return explanation.works ? 0 : 1
  } catch (error) {
    // A server that is not there is no bug: its sentence is enough.
    if (error instanceof Error && (error.cause as NodeJS.ErrnoException | undefined)?.code) throw new UserError(`${error.message}: does the cluster run?`)
    throw error
  } finally { transport.close() }
}

function serviceName(words: readonly string[]): string {
  const [kind, name, ...more] = words.length === 1 && words[0]!.includes('/') ? words[0]!.split('/') : words
  if (!kind || !name || more.length > 0 || name.includes('/')) throw new UserError('explain takes "service NAME": see fairway explain --help')
  if (!['service', 'services', 'svc'].includes(kind.toLowerCase())) throw new UserError(`explain knows Services only, not ${kind}: fairway explain service NAME`)
  return name
}

function target(values: Parsed['values']): { config: Kubeconfig; own?: RunFile } {
  const context = values.context === undefined ? undefined : String(values.context)
  if (values.kubeconfig !== undefined) return { config: readKubeconfig(String(values.kubeconfig), context) }
  const { run, dataDir } = clusterOf(values)
  return { config: readKubeconfig(clusterFiles(dataDir).kubeconfig, context), own: run }
}

const ownFlags = (values: Parsed['values']): string =>
  ['name', 'data-dir'].flatMap(flag => values[flag] === undefined ? [] : [` --${flag} ${String(values[flag])}`]).join('')

interface Wanted { readonly name: string; readonly namespace: string; readonly own: RunFile | undefined; readonly flags: string }

async function look(client: Client, wanted: Wanted): Promise<Explanation> {
  const service = await client.get<Service>(resources.services, wanted.namespace, wanted.name)
    .catch(async (error: unknown) => { throw isNotFound(error) ? await noService(client, wanted) : error })
  const notLookedAt: string[] = []
  const objects = await read(client, service, notLookedAt)
  const sockets = await lookAtSockets(objects, wanted.own, notLookedAt)
  const seen: Observations = { now: new Date().toISOString(), sockets, notLookedAt, ...(wanted.own && { own: { flags: wanted.flags } }) }
  return explain(objects, seen)
}

async function read(client: Client, service: Service, notLookedAt: string[]): Promise<Objects> {
  const namespace = service.metadata.namespace!
  // An absent kind or a missing right makes the page shorter, not fail.
  const list = async <T extends KubeObject>(resource: Resource, within: string | undefined, options = {}): Promise<T[] | undefined> => {
    try {
      const { items } = await client.list<T>(resource, within, options)
      return items.map(item => ({ ...item, kind: item.kind ?? resource.kind }))
    } catch (error) {
      if (isForbidden(error)) notLookedAt.push(`${resource.plural}${within ? ` in ${within}` : ' of the cluster'}: you may not list them`)
      else if (!isNotFound(error)) throw error
      return undefined
    }
  }
  const maybe = <T extends KubeObject>(resource: Resource, within: string, name: string) =>
    client.get<T>(resource, within, name).catch((error: unknown) => { if (isNotFound(error) || isForbidden(error)) return undefined; throw error })
  const statefulsets = { ...resources.deployments, kind: 'StatefulSet', plural: 'statefulsets', singular: 'statefulset' }
  const [pods, slices, endpoints, nodes, events, proxyConfig, ...workloads] = await Promise.all([
    list<Pod>(resources.pods, undefined).then(pods => pods ?? list<Pod>(resources.pods, namespace)),
    list<EndpointSlice>(resources.endpointslices, namespace, { labelSelector: `kubernetes.io/service-name=${service.metadata.name}` }),
    maybe<Endpoints>(resources.endpoints, namespace, service.metadata.name),
    list<Node>(resources.nodes, undefined), list<Event>(resources.events, namespace), maybe<ConfigMap>(resources.configmaps, 'kube-system', 'kube-proxy'),
    ...[resources.deployments, statefulsets, resources.daemonsets].map(resource => list<Workload>(resource, namespace)),
  ])
  return { service, pods: pods ?? [], slices: slices ?? [], events: events ?? [], workloads: workloads.flatMap(items => items ?? []),
    ...(endpoints && { endpoints }), ...(nodes && { nodes }), ...(proxyConfig && { proxyConfig }) }
}

async function lookAtSockets({ service, pods, slices }: Objects, own: RunFile | undefined, notLookedAt: string[]): Promise<Observations['sockets']> {
  if (service.spec.type === 'ExternalName') return {}
  const ips = new Set([...slices.flatMap(slice => (slice.endpoints ?? []).flatMap(endpoint => endpoint.addresses)),
    ...pods.filter(pod => pod.metadata.namespace === service.metadata.namespace && selects(service.spec.selector, pod.metadata.labels)).flatMap(pod => pod.status?.podIP ?? [])])
  if (ips.size === 0) return {}
  const what = 'whether the pods\' programs listen, and on which address'
  if (!own) { notLookedAt.push(`${what}: the cluster is not known to be on this machine (give --name or --data-dir when it is Fairway's)`); return {} }
  try {
    const { stdout } = await run([...intoCluster(own), 'sh', '-c', lookScript, 'sh', ...ips], { timeoutMs: 20_000 })
    const sockets = socketsByAddress(stdout), missing = [...ips].filter(ip => !sockets[ip])
    if (missing.length > 0) notLookedAt.push(`whether anything listens at ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ' and others' : ''}: not an address on this machine`)
    return sockets
  } catch (error) {
    notLookedAt.push(`${what}: ${(error as Error).message.split('\n')[0]}`)
    return {}
  }
}

async function noService(client: Client, { name, namespace }: Wanted): Promise<UserError> {
  const all = await client.list<Service>(resources.services).catch(() => client.list<Service>(resources.services, namespace)).catch(() => ({ items: [] as Service[] }))
  const elsewhere = all.items.filter(service => service.metadata.name === name).map(service => service.metadata.namespace!)
  if (elsewhere.length > 0) return new UserError(`no Service "${name}" in namespace ${namespace}, but there is one in ${elsewhere.join(', ')}: add -n ${elsewhere[0]}`)
  const here = all.items.filter(service => service.metadata.namespace === namespace).map(service => service.metadata.name)
  const near = nearest(name, here)
  return new UserError(`no Service "${name}" in namespace ${namespace}${near ? `: did you mean "${near}"?` : here.length > 0 ? `: there are ${here.slice(0, 10).join(', ')}` : ': there is none at all'}`)
}

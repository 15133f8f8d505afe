// Where a pod's logs, exec and attach are served: the URL on the kubelet of its node, as upstream's
// registry/core/pod strategy (LogLocation, streamLocation) makes it. Connecting is the edge's.
import type { Container, Node, Pod } from '#api/core/v1.ts'
import type { KubeletTarget } from '../http/request.ts'
import { badRequest, internal, invalid } from '../rest/errors.ts'
import type { Content } from '../rest/metadata.ts'
import type { Storage } from '../storage/storage.ts'

const defaultPort = 10250

function targetOf(nodeName: string, path: string, storage: Storage): KubeletTarget {
  const node = storage.get(`nodes/${nodeName}`)?.value as Node | undefined
  const address = node?.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address
  if (!address) throw internal(`node ${JSON.stringify(nodeName)} has no InternalIP address, so its kubelet cannot be reached`)
  return { host: address, port: node?.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? defaultPort, node: nodeName, path }
}

const names = (containers: readonly Container[] | undefined): string => `[${(containers ?? []).map(({ name }) => name).join(' ')}]`

/** validateContainer: the container that was asked for, or the only one. */
function containerOf({ metadata, spec }: Pod, asked: string | null): string {
  const { containers, initContainers = [], ephemeralContainers = [] } = spec!
  if (asked) {
    if ([...containers, ...initContainers, ...ephemeralContainers].some(({ name }) => name === asked)) return asked
    throw badRequest(`container ${asked} is not valid for pod ${metadata.name}`)
  }
  if (containers.length === 1) return containers[0]!.name
  const init = initContainers.length > 0 ? ` or one of the init containers: ${names(initContainers)}` : ''
  throw badRequest(`a container name must be specified for pod ${metadata.name}, choose one of: ${names(containers)}${init}`)
}

const logParameters = ['follow', 'previous', 'timestamps', 'sinceSeconds', 'sinceTime', 'tailLines', 'limitBytes', 'stream']

/** Undefined for a pod without a node. */
export function logTarget(content: Content, query: URLSearchParams, storage: Storage): KubeletTarget | undefined {
  const pod = content as unknown as Pod
  checkLogOptions(pod.metadata.name, query)
  const container = containerOf(pod, query.get('container'))
  if (!pod.spec!.nodeName) return undefined
  const parameters = new URLSearchParams(logParameters.flatMap(name => query.get(name) ? [[name, query.get(name)!] as [string, string]] : []))
  const text = parameters.size > 0 ? `?${parameters}` : ''
  return targetOf(pod.spec!.nodeName, `/containerLogs/${pod.metadata.namespace}/${pod.metadata.name}/${container}${text}`, storage)
}

/** ValidatePodLogOptions. */
function checkLogOptions(name: string, query: URLSearchParams): void {
  const refuse = (field: string, value: string, why: string) => { throw invalid({ group: '', kind: 'PodLogOptions' }, name, [{ field, reason: 'FieldValueInvalid', message: `Invalid value: ${value}: ${why}` }]) }
  const least = { tailLines: [0, 'must be greater than or equal to 0'], limitBytes: [1, 'must be greater than 0'], sinceSeconds: [1, 'must be greater than 0'] } as const
  for (const [field, [smallest, why]] of Object.entries(least)) {
    const value = query.get(field)
    if (!value) continue
    if (!/^-?\d+$/.test(value)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`)
    if (Number(value) < smallest) refuse(field, value, why)
  }
  if (query.get('sinceSeconds') && query.get('sinceTime')) {
    throw invalid({ group: '', kind: 'PodLogOptions' }, name, [{ field: '', reason: 'FieldValueForbidden', message: 'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified' }])
  }
}

// The kubelet's names for the streams (remotecommand options).
const streams = { stdin: 'input', stdout: 'output', stderr: 'error', tty: 'tty' } as const

export function execTarget(kind: 'exec' | 'attach', content: Content, { query, storage }: { query: URLSearchParams; storage: Storage }): KubeletTarget {
  const pod = content as unknown as Pod
  const container = containerOf(pod, query.get('container'))
  const { nodeName } = pod.spec!
  const phase = pod.status?.phase
  if (kind === 'exec' && (phase === 'Succeeded' || phase === 'Failed')) throw badRequest(`cannot exec into a container in a completed pod; current phase is ${phase}`)
  if (!nodeName) throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`)
  const parameters = new URLSearchParams()
  for (const [from, to] of Object.entries(streams)) if (isOn(query.get(from), from)) parameters.append(to, '1')
  for (const command of kind === 'exec' ? query.getAll('command') : []) parameters.append('command', command)
  return targetOf(nodeName, `/${kind}/${pod.metadata.namespace}/${pod.metadata.name}/${container}?${parameters}`, storage)
}

// PodExecOptions: output and errors are wanted unless said otherwise.
const isOn = (value: string | null, name: string): boolean =>
  value === null ? name === 'stdout' || name === 'stderr' : !['0', 'false'].includes(value)

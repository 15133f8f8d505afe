// The directive `kubernetes` of a Corefile to one value. Pure: files are read in apply.ts.
import { args, CorefileError, duration, integer, noBlock, once, unknown } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { ParseContext } from '../../plugin.ts'
import { isReverse } from './address.ts'
import { selectorProblem } from './selector.ts'
import type { ResolverOptions } from './resolver.ts'

/** Where the API server is; none of them: the pod's own credentials. */
export interface Api {
  readonly endpoint?: string
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string }
  readonly kubeconfig?: { readonly file: string; readonly context?: string }
}

export interface KubernetesOptions extends ResolverOptions {
  readonly api: Api
  /** Label selector of Services, EndpointSlices and Pods. */
  readonly labels?: string
  readonly endpointPodNames: boolean
  readonly noEndpoints: boolean
  /** Milliseconds after which it is told that the API server has not answered yet. */
  readonly startupTimeout: number
}

const defaultTtl = 5
type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type Draft = Mutable<KubernetesOptions>

export function parse(directives: readonly Directive[], { zones: blockZones, root }: ParseContext): KubernetesOptions {
  const directive = once(directives)
  const zones = zonesOf(directive.args, blockZones)
  const primary = zones.find(zone => !isReverse(zone))
  if (primary === undefined) throw new CorefileError(directive.word, 'kubernetes needs a zone that is no reverse zone, such as cluster.local')
  const draft: Draft = {
    zones, primary, ttl: defaultTtl, pods: 'disabled', ignoreEmptyService: false, ptrHostnameOnly: false,
    api: {}, endpointPodNames: false, noEndpoints: false, startupTimeout: 5000,
  }
  for (const option of directive.block ?? []) {
    noBlock(option)
    const set = Object.hasOwn(options, option.word.text) ? options[option.word.text] : undefined
    if (!set) throw unknown(option, Object.keys(options))
    set(draft, option, root)
  }
  if (draft.namespaces && draft.namespaceLabels !== undefined) throw new CorefileError(directive.word, 'namespaces and namespace_labels cannot both be set')
  if (draft.api.tls && !draft.api.endpoint) throw new CorefileError(directive.word, 'tls is of the endpoint: give `endpoint URL`, or leave tls out')
  if (draft.api.kubeconfig && draft.api.endpoint) throw new CorefileError(directive.word, 'kubeconfig and endpoint both say where the API server is: leave one out')
  return draft
}

type Setter = (draft: Draft, option: Directive, root: string) => void
const flag = (set: (draft: Draft) => void): Setter => (draft, option) => { args(option, 0); set(draft) }
const below = (root: string, file: string) => file.startsWith('/') ? file : `${root.replace(/\/$/, '')}/${file}`

const options: Record<string, Setter> = {
  endpoint: (draft, option) => {
    // Once several could be given; CoreDNS takes the first too.
    const [url] = args(option, 1, Number.MAX_SAFE_INTEGER)
    if (!URL.canParse(url!) || !/^https?:/.test(url!)) throw new CorefileError(option.args[0]!, `'${url}' is no URL such as https://192.168.109.1:6443`)
    draft.api = { ...draft.api, endpoint: url! }
  },
  tls: (draft, option, root) => {
    const [cert, key, ca] = args(option, 3).map(file => below(root, file)) as [string, string, string]
    draft.api = { ...draft.api, tls: { cert, key, ca } }
  },
  kubeconfig: (draft, option, root) => {
    const [file, context] = args(option, 1, 2)
    draft.api = { ...draft.api, kubeconfig: { file: below(root, file!), ...(context && { context }) } }
  },
  namespaces: (draft, option) => { draft.namespaces = new Set([...draft.namespaces ?? [], ...args(option, 1, Number.MAX_SAFE_INTEGER)]) },
  namespace_labels: (draft, option) => { draft.namespaceLabels = selector(option) },
  labels: (draft, option) => { draft.labels = selector(option) },
  pods: (draft, option) => {
    const [mode] = args(option, 1)
    if (mode !== 'disabled' && mode !== 'insecure' && mode !== 'verified') throw new CorefileError(option.args[0]!, `wrong value for pods: ${mode}, must be one of: disabled, verified, insecure`)
    draft.pods = mode
  },
  endpoint_pod_names: flag(draft => { draft.endpointPodNames = true }),
  ttl: (draft, option) => { args(option, 1); draft.ttl = integer(option.args[0]!, { min: 0, max: 3600 }) },
  noendpoints: flag(draft => { draft.noEndpoints = true }),
  fallthrough: (draft, option) => { draft.fallthrough = zonesOf(option.args, ['\0' as Draft['primary']]) },
  ignore: (draft, option) => {
    const [what] = args(option, 1)
    if (what !== 'empty_service') throw new CorefileError(option.args[0]!, `unable to parse ignore value: '${what}' (there is only empty_service)`)
    draft.ignoreEmptyService = true
  },
  ptr_hostname_only: flag(draft => { draft.ptrHostnameOnly = true }),
  startup_timeout: (draft, option) => { args(option, 1); draft.startupTimeout = duration(option.args[0]!) },
  // Limits of client-go's own rate limiter. Four watches never reach any, so there is nothing to limit.
  apiserver_qps: checked, apiserver_burst: checked, apiserver_max_inflight: checked,
  multicluster: (_, option) => { throw new CorefileError(option.word, 'multicluster is not supported: ServiceImports are not watched') },
  zonal: (_, option) => { throw new CorefileError(option.word, 'zonal is not supported: topology zones have no names here') },
}

function checked(_: Draft, option: Directive): void {
  args(option, 1)
  if (!(Number(option.args[0]!.text) > 0)) throw new CorefileError(option.args[0]!, `${option.word.text} must be a number over 0`)
}

function selector(option: Directive): string {
  const text = args(option, 1, Number.MAX_SAFE_INTEGER).join(' ')
  const problem = selectorProblem(text)
  if (problem) throw new CorefileError(option.args[0] as Token, `unable to parse label selector value: '${text}': ${problem}`)
  return text
}

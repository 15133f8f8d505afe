// What the scheduler knows: nodes, and on each the pods that are bound to it or about to be. Kept up
// change by change, so that placing one pod never walks through all others. Holds values only; it
// neither watches nor decides.
import type { Node, Pod } from '#api/core/v1.ts'
import { add, amounts, hostPorts, requests, scoredRequests, type Amounts, type HostPort } from './requests.ts'

interface Placed { readonly pod: Pod; readonly requests: Amounts; readonly scored: { cpu: number; memory: number }; readonly ports: readonly HostPort[] }

/** One node as filters and scores see it. */
export class NodeInfo {
  readonly node: Node
  readonly allocatable: Amounts
  readonly pods: ReadonlyMap<string, Placed>
  requested: Amounts = {}
  scored = { cpu: 0, memory: 0 }

  constructor(node: Node, pods: ReadonlyMap<string, Placed> = new Map()) {
    this.node = node
    this.allocatable = amounts(node.status?.allocatable)
    this.pods = pods
    for (const placed of pods.values()) this.count(placed, 1)
  }
  get name(): string { return this.node.metadata.name }
  get labels(): Record<string, string> { return this.node.metadata.labels ?? {} }

  count({ requests, scored }: Placed, sign: 1 | -1): void {
    this.requested = add(this.requested, requests, sign)
    this.scored = { cpu: this.scored.cpu + sign * scored.cpu, memory: this.scored.memory + sign * scored.memory }
  }
}

export class Cluster {
  readonly #nodes = new Map<string, NodeInfo>()
  #sorted: NodeInfo[] | undefined
  readonly #pods = new Map<string, Map<string, Placed>>() // node -> uid -> pod, also for nodes not known (yet)
  readonly #where = new Map<string, string>() // uid -> node
  readonly #antiAffine = new Map<string, Pod>()
  /** Labels of namespaces, for the namespaceSelector of affinity terms. */
  readonly namespaces = new Map<string, Record<string, string>>()

  /** In the order of their names, so that equal scores give the same answer each time. */
  nodes(): readonly NodeInfo[] { return this.#sorted ??= [...this.#nodes.values()].sort((a, b) => a.name < b.name ? -1 : 1) }
  node(name: string): NodeInfo | undefined { return this.#nodes.get(name) }
  /** Pods with required anti-affinity of their own: the only ones that can keep others away. */
  antiAffine(): Iterable<Pod> { return this.#antiAffine.values() }

  setNode(node: Node): void {
    this.#nodes.set(node.metadata.name, new NodeInfo(node, this.#on(node.metadata.name)))
    this.#sorted = undefined
  }
  deleteNode(name: string): void {
    this.#nodes.delete(name)
    this.#sorted = undefined
  }

  /** A pod that has a node; replaces what was known of it. */
  setPod(pod: Pod): void {
    this.deletePod(pod)
    const name = pod.spec.nodeName!, uid = pod.metadata.uid!
    const placed = { pod, requests: requests(pod), scored: scoredRequests(pod), ports: hostPorts(pod) }
    this.#on(name).set(uid, placed)
    this.#where.set(uid, name)
    this.#nodes.get(name)?.count(placed, 1)
    if (pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.length) this.#antiAffine.set(uid, pod)
  }
  deletePod(pod: Pod): void {
    const uid = pod.metadata.uid!, name = this.#where.get(uid)
    if (name === undefined) return
    const placed = this.#on(name).get(uid)!
    this.#on(name).delete(uid)
    this.#where.delete(uid)
    this.#antiAffine.delete(uid)
    this.#nodes.get(name)?.count(placed, -1)
  }
  /** The node that the pod has, or is about to have. */
  nodeOf(pod: Pod): string | undefined { return this.#where.get(pod.metadata.uid!) }

  #on(name: string): Map<string, Placed> {
    let pods = this.#pods.get(name)
    if (!pods) this.#pods.set(name, pods = new Map())
    return pods
  }
}

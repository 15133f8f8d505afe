// `fairway agent --config FILE`: the nodes of this machine and where the cluster is. Pure: text in, one
// frozen value out; a key that nobody knows is an error.
import type { Taint } from '#api/core/v1.ts'
import { UserError } from '#lib/errors.ts'

export interface NodeSettings {
  readonly name: string
  /** Path of the node's network namespace; absent for the agent's own network. */
  readonly netns?: string
  readonly internalIp: string
  readonly podCidr: string
  readonly labels: Readonly<Record<string, string>>
  readonly taints: readonly Taint[]
}
export interface AgentConfig {
  readonly dataDir: string
  /** `https://192.168.109.1:6443` */
  readonly server: string
  readonly pkiDir: string
  readonly clusterDns: readonly string[]
  readonly clusterDomain: string
  readonly clusterCidr: string
  /** An ordinary user's cluster, in a user namespace. */
  readonly unprivileged: boolean
  /** The checkout that system pods run from; absent: this program's own. */
  readonly programRoot?: string
  /** A unix socket with an HTTP CONNECT proxy to the host's network, for image pulls. */
  readonly egressSocket?: string
  /** Name of the control group below which pods live. */
  readonly cgroup?: string
  readonly nodes: readonly NodeSettings[]
}

type Check = (value: unknown) => boolean
const text: Check = value => typeof value === 'string' && value !== ''
const texts: Check = value => Array.isArray(value) && value.every(text)
const flag: Check = value => typeof value === 'boolean'
const map: Check = value => typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(item => typeof item === 'string')
const taints: Check = value => Array.isArray(value) && value.every(taint => text(taint?.key) && text(taint?.effect))
const optional = (check: Check): Check => value => value === undefined || check(value)

const agentFields: Record<string, Check> = {
  dataDir: text, server: text, pkiDir: text, clusterDns: texts, clusterDomain: text, clusterCidr: text, unprivileged: optional(flag),
  programRoot: optional(text), egressSocket: optional(text), cgroup: optional(text), nodes: value => Array.isArray(value) && value.length > 0,
}
const nodeFields: Record<string, Check> = { name: text, netns: optional(text), internalIp: text, podCidr: text, labels: optional(map), taints: optional(taints) }

export function parseConfig(source: string, file: string): AgentConfig {
  let value: unknown
  try { value = JSON.parse(source) } catch (error) { throw new UserError(`${file}: ${(error as Error).message}`) }
  const fields = checked(value, agentFields, file)
  const nodes = (fields.nodes as unknown[]).map((node, i) => ({ labels: {}, taints: [], ...checked(node, nodeFields, `${file}: nodes[${i}]`) }))
  return Object.freeze({ unprivileged: false, ...fields, nodes } as unknown as AgentConfig)
}

function checked(value: unknown, fields: Record<string, Check>, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UserError(`${where}: expected an object`)
  const object = value as Record<string, unknown>
  for (const key of Object.keys(object)) if (!Object.hasOwn(fields, key)) throw new UserError(`${where}: unknown key ${JSON.stringify(key)}: the keys are ${Object.keys(fields).join(', ')}`)
  for (const [key, check] of Object.entries(fields)) if (!check(object[key])) throw new UserError(`${where}: ${key} is ${object[key] === undefined ? 'missing' : 'not valid'}`)
  return object
}

/** `--config FILE`, the only flag. */
export function configFile(argv: readonly string[]): string {
  const file = argv[0] === '--config' && argv.length === 2 ? argv[1] : argv.length === 1 && argv[0]!.startsWith('--config=') ? argv[0]!.slice('--config='.length) : undefined
  if (!file) throw new UserError('usage: fairway agent --config FILE')
  return file
}

// The manifests of ../../testdata/ as this mode sees them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseYamlDocuments } from '#lib/yaml.ts'
import type { Family } from '#net/ip.ts'
import { proxyConfig, type ProxyConfig } from '../../config.ts'
import type { NodeOptions } from '../../dataplane.ts'
import { manifestState, network } from '../../packets.ts'
import type { ProxiedPort } from '../../state.ts'
import { ipvsOptions, type IpvsOptions } from '../options.ts'

export const testConfig = (values: Record<string, unknown> = {}): ProxyConfig => proxyConfig(new Map(Object.entries(values)), new Map())

/** The node of the packet table. */
export const nodeInterfaces = new Map([['lo', ['127.0.0.1', '::1']], ['eth0', network.node.addresses.filter(address => !/^(10\.244|fd00:244)/.test(address))], ['veth-a', network.node.addresses.filter(address => /^(10\.244|fd00:244)/.test(address))]])

export function ipvsCase(name: string, family: Family): { ports: readonly ProxiedPort[]; node: NodeOptions; options: IpvsOptions } {
  const file = join(import.meta.dirname, '../../testdata', `${name}.in.yaml`)
  const { ports, options: node } = manifestState(parseYamlDocuments(readFileSync(file, 'utf8'), file), family)
  return { ports, node, options: ipvsOptions(node, { config: testConfig(), interfaces: nodeInterfaces, randomFully: true }) }
}

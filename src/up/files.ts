// The files that a cluster's parts are started with: certificates, kubeconfigs, the agent's config.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensurePki } from '#apiserver/pki/apply.ts'
import { toYaml } from '#lib/yaml.ts'
import { at, formatIp, parseCidr } from '#net/ip.ts'
import type { Machine } from './fabric.ts'
import { routerIp } from './fabric.ts'
import { clusterFiles, programRoot } from './paths.ts'
import { unprivileged } from './preflight.ts'
import type { Settings } from './settings.ts'

/** The first addresses of the Service range: `kubernetes`, and the tenth for cluster DNS as kubeadm has it. */
export const serviceIps = (serviceCidr: string) => {
  const range = parseCidr(serviceCidr)!
  return { kubernetes: formatIp(at(range, 1)), dns: formatIp(at(range, 10)) }
}

export const ensureClusterPki = (settings: Settings, all: readonly Machine[]) => ensurePki(clusterFiles(settings.dataDir).pki, {
  serviceIp: serviceIps(settings.serviceCidr).kubernetes, advertiseAddress: routerIp,
  nodeNames: all.filter(machine => machine.podCidr).map(machine => machine.name),
})

/** A kubeconfig with everything inlined, so that it can be copied anywhere. */
export function kubeconfig(name: string, server: string, pkiDir: string): string {
  const inline = (file: string) => readFileSync(join(pkiDir, file)).toString('base64')
  const context = name === 'default' ? 'fairway' : `fairway-${name}`
  return toYaml({
    apiVersion: 'v1', kind: 'Config', 'current-context': context, preferences: {},
    clusters: [{ name: context, cluster: { server, 'certificate-authority-data': inline('ca.crt') } }],
    contexts: [{ name: context, context: { cluster: context, user: context } }],
    users: [{ name: context, user: { 'client-certificate-data': inline('admin.crt'), 'client-key-data': inline('admin.key') } }],
  })
}

export function writeInsideFiles(settings: Settings, all: readonly Machine[], given: { apiPort: number }): void {
  const files = clusterFiles(settings.dataDir)
  write(files.kubeconfig, kubeconfig(settings.name, `https://127.0.0.1:${given.apiPort}`, files.pki))
  write(files.insideKubeconfig, kubeconfig(settings.name, `https://${routerIp}:6443`, files.pki))
  write(files.agentConfig, JSON.stringify(agentConfig(settings, all), undefined, 2) + '\n')
}

/** What `fairway agent --config` reads. */
export function agentConfig(settings: Settings, all: readonly Machine[]): object {
  const files = clusterFiles(settings.dataDir)
  const nodes = all.filter(machine => machine.podCidr)
  return {
    dataDir: settings.dataDir, server: `https://${routerIp}:6443`, pkiDir: files.pki, programRoot, egressSocket: files.egress,
    clusterDns: [serviceIps(settings.serviceCidr).dns], clusterDomain: 'cluster.local', clusterCidr: settings.clusterCidr,
    unprivileged: unprivileged(), cgroup: `fairway-${settings.name}`,
    nodes: nodes.map((node, i) => ({
      name: node.name, netns: node.netns, internalIp: node.ip, podCidr: node.podCidr,
      labels: i === 0 ? { 'node-role.kubernetes.io/control-plane': '' } : {},
      taints: i === 0 && nodes.length > 1 ? [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] : [],
    })),
  }
}

function write(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

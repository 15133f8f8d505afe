// The settings of an API server, with kube-apiserver's defaults. Parsing flags and files is the caller's.
import { parseCidr } from '#net/ip.ts'
import { parsePortRange } from '#net/ports.ts'
import type { ServerSettings } from './registry/strategy.ts'

export interface ApiServerConfig {
  /** The storage's SQLite file; undefined keeps everything in memory, for tests. */
  readonly storageFile?: string | undefined
  readonly settings: ServerSettings
  /** Where pods and nodes reach the server: goes into the endpoints of Service default/kubernetes; undefined leaves them out. */
  readonly advertiseAddress?: string | undefined
  readonly advertisePort: number
  /** As `ensurePki` returns it. Without it the server cannot listen, only serve in this process. */
  readonly pki?: Pki | undefined
  /** Seconds that Events live. */
  readonly eventTtl: number
}

/** Certificates and keys as PEM. */
export interface Pki {
  /** Signs all others; clients verify the server by it and the server its clients. */
  readonly ca: string
  readonly apiserver: KeyPair
  /** With which the API server calls kubelets. */
  readonly apiserverKubeletClient: KeyPair
  /** User kubernetes-admin of group system:masters. */
  readonly admin: KeyPair
  /** By node name: user system:node:NAME; also the kubelet's serving certificate. */
  readonly kubelets: ReadonlyMap<string, KeyPair>
  /** Signs service account tokens. */
  readonly serviceAccountKey: string
}
export interface KeyPair { readonly cert: string; readonly key: string }

export const defaults: ApiServerConfig = Object.freeze({
  settings: Object.freeze({
    serviceCidr: parseCidr('10.96.0.0/12')!, clusterCidr: parseCidr('10.244.0.0/16')!, serviceNodePortRange: parsePortRange('30000-32767')!,
  }),
  advertisePort: 6443,
  eventTtl: 3600,
})

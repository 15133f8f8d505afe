// Every field of KubeProxyConfiguration v1alpha1 and how its value is written; and the flags that
// set them. Data: config.ts reads with it.

export type FieldType = 'string' | 'bool' | 'int' | 'float' | 'duration' | 'strings' | 'bools' | 'any'
export interface Fields { readonly [name: string]: FieldType | Fields }

export const fields: Fields = {
  apiVersion: 'string', kind: 'string', featureGates: 'bools',
  clientConnection: { kubeconfig: 'string', acceptContentTypes: 'string', contentType: 'string', qps: 'float', burst: 'int' },
  logging: { format: 'string', flushFrequency: 'any', verbosity: 'int', vmodule: 'any', options: 'any' },
  hostnameOverride: 'string', bindAddress: 'string', healthzBindAddress: 'string', metricsBindAddress: 'string',
  bindAddressHardFail: 'bool', enableProfiling: 'bool', showHiddenMetricsForVersion: 'string',
  mode: 'string', portRange: 'string', oomScoreAdj: 'int', configSyncPeriod: 'duration', windowsRunAsService: 'bool',
  iptables: { masqueradeBit: 'int', masqueradeAll: 'bool', localhostNodePorts: 'bool', syncPeriod: 'duration', minSyncPeriod: 'duration' },
  ipvs: { syncPeriod: 'duration', minSyncPeriod: 'duration', scheduler: 'string', excludeCIDRs: 'strings', strictARP: 'bool',
    tcpTimeout: 'duration', tcpFinTimeout: 'duration', udpTimeout: 'duration', masqueradeBit: 'int', masqueradeAll: 'bool' },
  nftables: { masqueradeBit: 'int', masqueradeAll: 'bool', syncPeriod: 'duration', minSyncPeriod: 'duration' },
  winkernel: { networkName: 'string', sourceVip: 'string', enableDSR: 'bool', rootHnsEndpointName: 'string', forwardHealthCheckVip: 'bool' },
  detectLocalMode: 'string', detectLocal: { bridgeInterface: 'string', interfaceNamePrefix: 'string' },
  clusterCIDR: 'string', nodePortAddresses: 'strings',
  conntrack: { maxPerCore: 'int', min: 'int', tcpEstablishedTimeout: 'duration', tcpCloseWaitTimeout: 'duration',
    tcpBeLiberal: 'bool', udpTimeout: 'duration', udpStreamTimeout: 'duration' },
  udpIdleTimeout: 'duration',
}

/** Flag to the path of the field that it sets. */
export const fieldFlags: Readonly<Record<string, string>> = {
  'bind-address': 'bindAddress', 'bind-address-hard-fail': 'bindAddressHardFail', 'cluster-cidr': 'clusterCIDR',
  'config-sync-period': 'configSyncPeriod', 'conntrack-max-per-core': 'conntrack.maxPerCore', 'conntrack-min': 'conntrack.min',
  'conntrack-tcp-be-liberal': 'conntrack.tcpBeLiberal', 'conntrack-tcp-timeout-close-wait': 'conntrack.tcpCloseWaitTimeout',
  'conntrack-tcp-timeout-established': 'conntrack.tcpEstablishedTimeout', 'conntrack-udp-timeout': 'conntrack.udpTimeout',
  'conntrack-udp-timeout-stream': 'conntrack.udpStreamTimeout', 'detect-local-mode': 'detectLocalMode', 'feature-gates': 'featureGates',
  'healthz-bind-address': 'healthzBindAddress', 'hostname-override': 'hostnameOverride',
  'iptables-localhost-nodeports': 'iptables.localhostNodePorts', 'iptables-masquerade-bit': 'iptables.masqueradeBit',
  'iptables-min-sync-period': 'iptables.minSyncPeriod', 'iptables-sync-period': 'iptables.syncPeriod',
  'ipvs-exclude-cidrs': 'ipvs.excludeCIDRs', 'ipvs-min-sync-period': 'ipvs.minSyncPeriod', 'ipvs-scheduler': 'ipvs.scheduler',
  'ipvs-strict-arp': 'ipvs.strictARP', 'ipvs-sync-period': 'ipvs.syncPeriod', 'ipvs-tcp-timeout': 'ipvs.tcpTimeout',
  'ipvs-tcpfin-timeout': 'ipvs.tcpFinTimeout', 'ipvs-udp-timeout': 'ipvs.udpTimeout',
  'kube-api-burst': 'clientConnection.burst', 'kube-api-content-type': 'clientConnection.contentType', 'kube-api-qps': 'clientConnection.qps',
  kubeconfig: 'clientConnection.kubeconfig', 'logging-format': 'logging.format', 'log-flush-frequency': 'logging.flushFrequency',
  'masquerade-all': 'iptables.masqueradeAll', 'metrics-bind-address': 'metricsBindAddress', 'nodeport-addresses': 'nodePortAddresses',
  'oom-score-adj': 'oomScoreAdj', 'pod-bridge-interface': 'detectLocal.bridgeInterface',
  'pod-interface-name-prefix': 'detectLocal.interfaceNamePrefix', profiling: 'enableProfiling', 'proxy-mode': 'mode',
  'proxy-port-range': 'portRange', 'show-hidden-metrics-for-version': 'showHiddenMetricsForVersion', 'udp-timeout': 'udpIdleTimeout', v: 'logging.verbosity', vmodule: 'logging.vmodule',
}

/** Flags that are not settings of the configuration file. */
export const otherFlags = { config: 'string', master: 'string', cleanup: 'bool', fallback: 'bool', 'write-config-to': 'string', 'init-only': 'bool', help: 'bool', version: 'bool' } as const

export const fieldType = (path: string): FieldType => {
  let at: FieldType | Fields = fields
  for (const name of path.split('.')) at = (at as Fields)[name]!
  return at as FieldType
}

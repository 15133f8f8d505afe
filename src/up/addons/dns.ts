// Cluster DNS in the form and under the names that kubeadm gives CoreDNS: Deployment coredns behind
// Service kube-dns, its Corefile in ConfigMap coredns. Pure.
import type { Deployment } from '#api/apps/v1.ts'
import type { ConfigMap, Service, ServiceAccount } from '#api/core/v1.ts'
import type { KubeObject } from '#api/object.ts'

export interface DnsSettings {
  /** Address of Service kube-dns. */
  readonly clusterIp: string
  readonly clusterDomain: string
}

export const dnsAddon = (settings: DnsSettings): KubeObject[] => [serviceAccount, config(settings), service(settings), deployment]

const namespace = 'kube-system'
const labels = { 'k8s-app': 'kube-dns' }

const serviceAccount: ServiceAccount = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'coredns', namespace } }

const config = ({ clusterDomain }: DnsSettings): ConfigMap => ({
  apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'coredns', namespace },
  data: { Corefile: `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes ${clusterDomain} in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success ${clusterDomain}
       disable denial ${clusterDomain}
    }
    loop
    reload
    loadbalance
}
` },
})

const service = ({ clusterIp }: DnsSettings): Service => ({
  apiVersion: 'v1', kind: 'Service',
  metadata: { name: 'kube-dns', namespace, labels: { ...labels, 'kubernetes.io/cluster-service': 'true', 'kubernetes.io/name': 'CoreDNS' },
    annotations: { 'prometheus.io/port': '9153', 'prometheus.io/scrape': 'true' } },
  spec: {
    clusterIP: clusterIp, selector: labels,
    ports: [
      { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
      { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 },
      { name: 'metrics', port: 9153, protocol: 'TCP', targetPort: 9153 },
    ],
  },
})

const deployment: Deployment = {
  apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'coredns', namespace, labels },
  spec: {
    replicas: 2,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } },
    selector: { matchLabels: labels },
    template: {
      metadata: { name: '', labels },
      spec: {
        priorityClassName: 'system-cluster-critical', serviceAccountName: 'coredns', dnsPolicy: 'Default',
        nodeSelector: { 'kubernetes.io/os': 'linux' },
        tolerations: [{ key: 'CriticalAddonsOnly', operator: 'Exists' }, { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }],
        affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 100, podAffinityTerm: { labelSelector: { matchLabels: labels }, topologyKey: 'kubernetes.io/hostname' } }] } },
        containers: [{
          name: 'coredns', image: 'registry.k8s.io/coredns/coredns:v1.13.1', imagePullPolicy: 'IfNotPresent',
          args: ['-conf', '/etc/coredns/Corefile'],
          ports: [
            { name: 'dns', containerPort: 53, protocol: 'UDP' }, { name: 'dns-tcp', containerPort: 53, protocol: 'TCP' },
            { name: 'metrics', containerPort: 9153, protocol: 'TCP' }, { name: 'liveness-probe', containerPort: 8080, protocol: 'TCP' },
            { name: 'readiness-probe', containerPort: 8181, protocol: 'TCP' },
          ],
          livenessProbe: { httpGet: { path: '/health', port: 'liveness-probe', scheme: 'HTTP' }, initialDelaySeconds: 60, timeoutSeconds: 5, successThreshold: 1, failureThreshold: 5 },
          readinessProbe: { httpGet: { path: '/ready', port: 'readiness-probe', scheme: 'HTTP' } },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { add: ['NET_BIND_SERVICE'], drop: ['ALL'] }, readOnlyRootFilesystem: true },
          volumeMounts: [{ name: 'config-volume', mountPath: '/etc/coredns', readOnly: true }],
        }],
        volumes: [{ name: 'config-volume', configMap: { name: 'coredns', items: [{ key: 'Corefile', path: 'Corefile' }] } }],
      },
    },
  },
}

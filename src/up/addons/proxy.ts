// kube-proxy in the form and under the names that kubeadm gives it, so that
// `kubectl -n kube-system edit cm kube-proxy` works. Pure.
import type { DaemonSet } from '#api/apps/v1.ts'
import type { ConfigMap, ServiceAccount } from '#api/core/v1.ts'
import type { KubeObject } from '#api/object.ts'
import type { ClusterRoleBinding, Role, RoleBinding } from '#api/rbac/v1.ts'
import { toYaml } from '#lib/yaml.ts'
import { kubernetesVersion } from '../version.ts'

export interface ProxySettings {
  readonly apiServer: string
  readonly clusterCidr: string
  readonly proxyMode: string
}

export const proxyAddon = (settings: ProxySettings): KubeObject[] =>
  [serviceAccount, binding, configReader, configReaderBinding, config(settings), daemonSet]

const labels = { 'k8s-app': 'kube-proxy' }
const serviceAccount: ServiceAccount = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'kube-proxy', namespace: 'kube-system' } }

const binding: ClusterRoleBinding = {
  apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'kubeadm:node-proxier' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:node-proxier' },
  subjects: [{ kind: 'ServiceAccount', name: 'kube-proxy', namespace: 'kube-system' }],
}

const configReader: Role = {
  apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'kube-proxy', namespace: 'kube-system' },
  rules: [{ apiGroups: [''], resources: ['configmaps'], resourceNames: ['kube-proxy'], verbs: ['get'] }],
}

const configReaderBinding: RoleBinding = {
  apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'kube-proxy', namespace: 'kube-system' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'kube-proxy' },
  subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'system:bootstrappers:kubeadm:default-node-token' }],
}

const config = (settings: ProxySettings): ConfigMap => ({
  apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kube-proxy', namespace: 'kube-system', labels: { app: 'kube-proxy' } },
  data: {
    'config.conf': toYaml({
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', kind: 'KubeProxyConfiguration', bindAddress: '0.0.0.0',
      clientConnection: { kubeconfig: '/var/lib/kube-proxy/kubeconfig.conf' },
      clusterCIDR: settings.clusterCidr, mode: settings.proxyMode,
    }),
    'kubeconfig.conf': toYaml({
      apiVersion: 'v1', kind: 'Config', 'current-context': 'default',
      clusters: [{ name: 'default', cluster: { server: settings.apiServer, 'certificate-authority': '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt' } }],
      contexts: [{ name: 'default', context: { cluster: 'default', namespace: 'default', user: 'default' } }],
      users: [{ name: 'default', user: { tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token' } }],
    }),
  },
})

const daemonSet: DaemonSet = {
  apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'kube-proxy', namespace: 'kube-system', labels },
  spec: {
    selector: { matchLabels: labels },
    updateStrategy: { type: 'RollingUpdate' },
    template: {
      metadata: { name: '', labels },
      spec: {
        hostNetwork: true, hostPID: true, // ebpf mode finds the node's pods through process 1
        serviceAccountName: 'kube-proxy', priorityClassName: 'system-node-critical',
        nodeSelector: { 'kubernetes.io/os': 'linux' }, tolerations: [{ operator: 'Exists' }],
        containers: [{
          name: 'kube-proxy', image: `registry.k8s.io/kube-proxy:${kubernetesVersion}`, imagePullPolicy: 'IfNotPresent',
          command: ['/usr/local/bin/kube-proxy', '--config=/var/lib/kube-proxy/config.conf', '--hostname-override=$(NODE_NAME)'],
          env: [{ name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
          securityContext: { privileged: true },
          readinessProbe: { httpGet: { host: '127.0.0.1', path: '/healthz', port: 10256 }, periodSeconds: 5 },
          volumeMounts: [
            { name: 'kube-proxy', mountPath: '/var/lib/kube-proxy' },
            { name: 'xtables-lock', mountPath: '/run/xtables.lock' },
          ],
        }],
        volumes: [
          { name: 'kube-proxy', configMap: { name: 'kube-proxy' } },
          { name: 'xtables-lock', hostPath: { path: '/run/xtables.lock', type: 'FileOrCreate' } },
        ],
      },
    },
  },
}

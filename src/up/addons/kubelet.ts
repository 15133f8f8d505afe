// What Fairway's kubelets may do beyond upstream's role system:node. Pure.
import type { KubeObject } from '#api/object.ts'
import type { ClusterRole, ClusterRoleBinding } from '#api/rbac/v1.ts'

// Upstream's kubelet never looks at endpoint slices. Ours does: it ends a pod only after the proxies
// have dropped its endpoint.
const kubeletReader: ClusterRole = {
  apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'fairway:kubelet' },
  rules: [{ apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] }],
}
const kubeletReaderBinding: ClusterRoleBinding = {
  apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'fairway:kubelet' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'fairway:kubelet' },
  subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'system:nodes' }],
}

export const kubeletAddon = (): KubeObject[] => [kubeletReader, kubeletReaderBinding]

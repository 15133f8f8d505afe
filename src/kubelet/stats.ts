// The kubelet's small read-only views: /stats/summary and /metrics. Pure, and honest: what is not
// measured is left out rather than zero.
import type { Pod } from '#api/core/v1.ts'
import type { Container, PodSandbox } from './runtime/cri.ts'

export function statsSummary(nodeName: string, pods: readonly Pod[], containers: readonly Container[], sandboxes: readonly PodSandbox[]): object {
  return {
    node: { nodeName },
    pods: pods.map(({ metadata }) => {
      const own = new Set(sandboxes.filter(({ config }) => config.uid === metadata.uid).map(({ id }) => id))
      return {
        podRef: { name: metadata.name, namespace: metadata.namespace, uid: metadata.uid },
        containers: containers.filter(({ sandboxId, state }) => own.has(sandboxId) && state === 'running')
          .map(({ name, startedAt, createdAt }) => ({ name, startTime: new Date(startedAt ?? createdAt).toISOString() })),
      }
    }),
  }
}

export function metricsText(nodeName: string, containers: readonly Container[], sandboxes: readonly PodSandbox[]): string {
  const count = (state: Container['state']) => containers.filter(container => container.state === state).length
  return [
    '# HELP kubelet_node_name [ALPHA] The node\'s name. The count is always 1.', '# TYPE kubelet_node_name gauge', `kubelet_node_name{node=${JSON.stringify(nodeName)}} 1`,
    '# HELP kubelet_running_containers [ALPHA] Number of containers currently running', '# TYPE kubelet_running_containers gauge',
    ...(['created', 'running', 'exited'] as const).map(state => `kubelet_running_containers{container_state="${state}"} ${count(state)}`),
    '# HELP kubelet_running_pods [ALPHA] Number of pods that have a running pod sandbox', '# TYPE kubelet_running_pods gauge',
    `kubelet_running_pods ${sandboxes.filter(({ state }) => state === 'ready').length}`, '',
  ].join('\n')
}

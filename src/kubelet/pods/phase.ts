// A pod's phase from the states of its containers: upstream's getPhase. Pure.
import type { ContainerStatus, Pod } from '#api/core/v1.ts'

/** `over`: nothing runs any more and nothing will be started again. */
export function podPhase(pod: Pod, init: readonly ContainerStatus[], containers: readonly ContainerStatus[], over: boolean, reason?: string): string {
  if (reason === 'DeadlineExceeded') return 'Failed'
  const policy = pod.spec.restartPolicy ?? 'Always'
  const sidecars = new Set(pod.spec.initContainers?.filter(spec => spec.restartPolicy === 'Always').map(spec => spec.name))
  const begun = init.filter(status => !sidecars.has(status.name))
  if (begun.some(status => exitCode(status) !== undefined && exitCode(status) !== 0) && (policy === 'Never' || over)) return 'Failed'
  const initializing = begun.some(status => status.state?.terminated?.exitCode !== 0)
    || init.some(status => sidecars.has(status.name) && status.state?.waiting && !status.lastState?.terminated)
  const running = containers.filter(status => status.state?.running).length
  const codes = containers.map(exitCode)
  if (running === 0 && codes.every(code => code !== undefined)) return endedPhase(policy, codes as number[], over, initializing)
  if (over) return 'Failed'
  if (running === 0 && initializing) return 'Pending'
  const never = containers.some(status => status.state?.waiting && !status.lastState?.terminated)
  return never ? 'Pending' : 'Running'
}

function endedPhase(policy: string, codes: readonly number[], over: boolean, initializing: boolean): string {
  const succeeded = codes.every(code => code === 0)
  if (over) return succeeded ? 'Succeeded' : 'Failed'
  if (policy === 'Always') return initializing ? 'Pending' : 'Running'
  if (succeeded) return 'Succeeded'
  return policy === 'Never' ? 'Failed' : 'Running'
}

/** How the container ended, or last ended when it waits to be started again. */
const exitCode = (status: ContainerStatus): number | undefined =>
  status.state?.running ? undefined : status.state?.terminated?.exitCode ?? (status.state?.waiting ? status.lastState?.terminated?.exitCode : undefined)

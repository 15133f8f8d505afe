// A container's effective security context (its own over the pod's) in the runtime's terms, and the
// runAsNonRoot check: upstream's DetermineEffectiveSecurityContext and verifyRunAsNonRoot. Pure.
import type { Container, Pod } from '#api/core/v1.ts'
import type { ContainerConfig } from '../runtime/cri.ts'
import { ConfigError } from './env.ts'

/** Throws ConfigError when the container would run as root against runAsNonRoot. */
export function containerSecurity(pod: Pod, container: Container, imageUser: string | undefined): ContainerConfig['security'] {
  const own = container.securityContext, shared = pod.spec.securityContext
  const runAsUser = own?.runAsUser ?? shared?.runAsUser
  const runAsGroup = own?.runAsGroup ?? shared?.runAsGroup
  if (own?.runAsNonRoot ?? shared?.runAsNonRoot) verifyNonRoot(pod, container, runAsUser, imageUser)
  return {
    privileged: own?.privileged === true,
    ...(runAsUser !== undefined && { runAsUser }), ...(runAsGroup !== undefined && { runAsGroup }),
    supplementalGroups: [...new Set([...shared?.supplementalGroups ?? [], ...(shared?.fsGroup === undefined ? [] : [shared.fsGroup])])],
    readonlyRootFilesystem: own?.readOnlyRootFilesystem === true,
    addCapabilities: own?.capabilities?.add ?? [],
    dropCapabilities: own?.capabilities?.drop ?? [],
    noNewPrivileges: own?.allowPrivilegeEscalation === false,
  }
}

function verifyNonRoot(pod: Pod, container: Container, runAsUser: number | undefined, imageUser: string | undefined): void {
  const where = `(pod: "${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})", container: ${container.name})`
  if (runAsUser === 0) throw new ConfigError(`container's runAsUser breaks non-root policy ${where}`)
  if (runAsUser !== undefined) return
  const user = (imageUser ?? '').split(':')[0]!
  if (user === '' || user === '0' || user === 'root') throw new ConfigError(`container has runAsNonRoot and image will run as root ${where}`)
  if (!/^\d+$/.test(user)) throw new ConfigError(`container has runAsNonRoot and image has non-numeric user (${user}), cannot verify user is non-root ${where}`)
}

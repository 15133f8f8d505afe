// Writes the history of a workload: records the current template and removes what is too old.
import type { ControllerRevision } from '#api/apps/v1.ts'
import { controllerOf } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import { isAlreadyExists, isNotFound } from '#lib/errors.ts'
import { canonical } from '../deployment/hash.ts'
import { isNamespaceTerminating } from '../pods/apply.ts'
import type { History, Workload } from './revisions.ts'

/**
 * The current template's revision as the server has it. `collision`: another template has its name, so
 * that status.collisionCount must grow; undefined: nothing can be made in the namespace any more.
 */
export async function record(client: Client, set: Workload, { current, act }: History): Promise<ControllerRevision | 'collision' | undefined> {
  if (act === 'none') return current
  if (act === 'update') return await client.update<ControllerRevision>(resources.controllerrevisions, current)
  const { namespace } = set.metadata
  try {
    return await client.create<ControllerRevision>(resources.controllerrevisions, namespace, current)
  } catch (error) {
    if (isNamespaceTerminating(error)) return undefined
    if (!isAlreadyExists(error)) throw error
    const existing = await client.get<ControllerRevision>(resources.controllerrevisions, namespace, current.metadata.name)
    return controllerOf(existing)?.uid === set.metadata.uid && canonical(existing.data) === canonical(current.data) ? existing : 'collision'
  }
}

export async function removeRevisions(client: Client, revisions: readonly ControllerRevision[]): Promise<void> {
  await Promise.all(revisions.map(revision => client.delete(resources.controllerrevisions, revision.metadata.namespace, revision.metadata.name)
    .catch((error: unknown) => { if (!isNotFound(error)) throw error })))
}

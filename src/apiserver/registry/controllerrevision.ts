// ControllerRevisions: old templates of DaemonSets and StatefulSets. Their data never changes.
import type { ControllerRevision } from '#api/apps/v1.ts'
import { resources } from '#api/resources.ts'
import { equal } from '#lib/equal.ts'
import { define } from './define.ts'
import { immutable, invalid, nonNegative, required } from './fields.ts'
import { dns1123Subdomain } from './names.ts'

export const controllerrevisions = define<ControllerRevision>({
  resource: resources.controllerrevisions,
  name: dns1123Subdomain,
  defaults(draft) { draft.revision ??= 0 },
  validate: revision => [
    ...(revision.data === undefined || revision.data === null ? [required('data', 'data is mandatory')] : []),
    ...nonNegative('revision', revision.revision),
  ],
  validateUpdate: (revision, old) => equal(revision.data, old.data) ? [] : [invalid('data', revision.data, immutable)],
  columns: [
    { name: 'Controller', description: 'The object whose template it keeps.', value: ({ metadata, apiVersion }) => {
      const owner = metadata.ownerReferences?.find(reference => reference.controller)
      return owner ? `${kindAndGroup(owner.kind, owner.apiVersion ?? apiVersion ?? '')}/${owner.name}` : '<none>'
    } },
    { name: 'Revision', description: 'Grows with each new template.', value: revision => String(revision.revision) },
  ],
})

const kindAndGroup = (kind: string, apiVersion: string) =>
  apiVersion.includes('/') ? `${kind.toLowerCase()}.${apiVersion.split('/')[0]}` : kind.toLowerCase()

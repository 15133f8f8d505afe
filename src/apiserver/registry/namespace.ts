// Namespaces: they hold the finalizer `kubernetes` until the namespace controller has emptied them.
import type { Namespace } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { define } from './define.ts'
import { validateFinalizers } from './metadata.ts'
import { dns1123Label } from './names.ts'

const nameLabel = 'kubernetes.io/metadata.name'

export const namespaces = define<Namespace>({
  resource: resources.namespaces,
  name: dns1123Label,
  defaults(draft) {
    draft.spec ??= {}
    // KEP-2161: the label lets selectors name a namespace. A generated name comes after the first call.
    if (draft.metadata.name) draft.metadata.labels = { ...draft.metadata.labels, [nameLabel]: draft.metadata.name }
  },
  prepareForCreate(draft) {
    draft.status = { phase: 'Active' }
    draft.metadata.labels = { ...draft.metadata.labels, [nameLabel]: draft.metadata.name }
    const finalizers = draft.spec.finalizers ?? []
    if (!finalizers.includes('kubernetes')) draft.spec.finalizers = [...finalizers, 'kubernetes']
  },
  prepareForUpdate(draft, old) {
    // Only /finalize may change them.
    draft.spec.finalizers = [...old.spec.finalizers ?? []]
  },
  validate: namespace => validateFinalizers(namespace.spec?.finalizers, 'spec.finalizers'),
  selectableFields: namespace => ({ 'status.phase': namespace.status?.phase ?? '' }),
  columns: [{ name: 'Status', description: 'Whether it is active or being emptied.', value: namespace => namespace.status?.phase ?? '' }],
})

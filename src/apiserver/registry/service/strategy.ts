// Services.
import type { Service } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { define } from '../define.ts'
import { dns1035Label } from '../names.ts'
import { reserve } from './allocation.ts'
import { columns } from './columns.ts'
import { defaults, dropTypeDependentFields, keepAllocated, normalize } from './defaults.ts'
import { validate, validateStatus, validateUpdate } from './validation.ts'
import { warnings } from './warnings.ts'

export const services = define<Service>({
  resource: resources.services,
  name: dns1035Label,
  defaults,
  prepareForCreate(draft) {
    draft.status = { loadBalancer: {} }
    normalize(draft)
  },
  prepareForUpdate(draft, old) {
    normalize(draft, old)
    keepAllocated(draft, old)
    dropTypeDependentFields(draft, old)
  },
  reserve,
  validate,
  validateUpdate,
  validateStatusUpdate: validateStatus,
  warnings: service => warnings(service),
  selectableFields: ({ spec }) => ({ 'spec.clusterIP': spec.clusterIP ?? '', 'spec.type': spec.type ?? '' }),
  columns,
})

// `npm run generate`: writes src/api/<group>/<version>.ts from the type facts.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { declarations, type Packages } from './types.ts'

const api = join(import.meta.dirname, '..')
const packages = JSON.parse(readFileSync(join(api, 'kubernetes-types.json'), 'utf8')) as Packages
// The group-versions whose kinds some component names; add one here when its first kind is served.
const wanted = [
  'meta/v1', 'core/v1', 'apps/v1', 'discovery/v1', 'coordination/v1', 'rbac/v1', 'events/v1', 'policy/v1',
  'authentication/v1', 'authorization/v1', 'autoscaling/v1',
]
for (const groupVersion of wanted) {
  const file = join(api, `${groupVersion}.ts`)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, declarations(groupVersion, packages))
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupVersion, type Resource, resources } from '#api/resources.ts'
import { descriptionOf, descriptions } from './descriptions.ts'
import { openApiV3, openApiV3Index, openApiV3Json } from './openapi.ts'
import data from '#api/kubernetes-types.json' with { type: 'json' }
import { structSchema } from './schema.ts'

const all = Object.values<Resource>(resources)
type Any = Record<string, any> // documents are JSON of many shapes
const documentOf = (version: string) => JSON.parse(openApiV3Json(version, all)!) as Any
const versions = [...new Set(all.map(groupVersion))]

test('the index names every group-version once, with a hash that follows the contents', () => {
  const { paths } = openApiV3Index(all)
  assert.deepEqual(Object.keys(paths).sort(), versions.map(version => `${version.includes('/') ? 'apis' : 'api'}/${version}`).sort())
  assert.match(paths['apis/apps/v1']!.serverRelativeURL, /^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{64}$/)
  const fewer = openApiV3Index(all.filter(resource => resource.plural !== 'daemonsets')).paths
  assert.notEqual(fewer['apis/apps/v1']!.serverRelativeURL, paths['apis/apps/v1']!.serverRelativeURL)
  assert.equal(fewer['api/v1']!.serverRelativeURL, paths['api/v1']!.serverRelativeURL)
  assert.equal(openApiV3('apps/v2', all), undefined)
})

test('every document refers only to schemas that it has', () => {
  for (const version of versions) {
    const text = openApiV3Json(version, all)!
    const { schemas } = (JSON.parse(text) as Any).components
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) assert.ok(schemas[name!], `${version}: ${name}`)
  }
})

// kubectl's check before it trusts the server with --validate=strict and --dry-run=server.
test('every kind has a PATCH operation with fieldValidation, dryRun and fieldManager', () => {
  for (const resource of all.filter(one => !one.createOnly)) {
    const { group, version, kind } = resource
    const found = Object.values(documentOf(groupVersion(resource)).paths as Any).some(path =>
      path.patch?.['x-kubernetes-action'] === 'patch' && JSON.stringify(path.patch['x-kubernetes-group-version-kind']) === JSON.stringify({ group, version, kind })
      && ['fieldValidation', 'dryRun', 'fieldManager'].every(name => path.patch.parameters.some((parameter: Any) => parameter.name === name)))
    assert.ok(found, kind)
  }
})

test('paths, operations and subresources', () => {
  const { paths } = documentOf('v1')
  assert.deepEqual(Object.keys(paths['/api/v1/namespaces/{namespace}/services']), ['get', 'post', 'delete', 'parameters'])
  assert.deepEqual(Object.keys(paths['/api/v1/namespaces/{namespace}/services/{name}']), ['get', 'put', 'patch', 'delete', 'parameters'])
  assert.equal(paths['/api/v1/services'].get['x-kubernetes-action'], 'list')
  assert.equal(paths['/api/v1/nodes/{name}'].get.operationId, 'readCoreV1Node')
  assert.deepEqual(paths['/api/v1/namespaces/{namespace}/pods/{name}/eviction'].post['x-kubernetes-group-version-kind'], { group: 'policy', version: 'v1', kind: 'Eviction' })
  assert.deepEqual(documentOf('apps/v1').paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale'].patch['x-kubernetes-group-version-kind'],
    { group: 'autoscaling', version: 'v1', kind: 'Scale' })
  assert.deepEqual(Object.keys(documentOf('authorization.k8s.io/v1').paths['/apis/authorization.k8s.io/v1/selfsubjectaccessreviews']), ['post', 'parameters'])
  const ids = Object.values(paths as Any).flatMap(path => Object.values(path as Any)).map(operation => operation.operationId).filter(Boolean)
  assert.equal(new Set(ids).size, ids.length)
})

test('schemas: names, formats, extensions, defaults', () => {
  const { schemas } = documentOf('v1').components
  const service = schemas['io.k8s.api.core.v1.Service'], spec = schemas['io.k8s.api.core.v1.ServiceSpec'].properties, port = schemas['io.k8s.api.core.v1.ServicePort']
  assert.deepEqual(service['x-kubernetes-group-version-kind'], [{ group: '', kind: 'Service', version: 'v1' }])
  assert.deepEqual(service.properties.spec.allOf, [{ $ref: '#/components/schemas/io.k8s.api.core.v1.ServiceSpec' }])
  assert.equal(spec.ports['x-kubernetes-patch-strategy'], 'merge')
  assert.equal(spec.ports['x-kubernetes-patch-merge-key'], 'port')
  assert.equal(spec.ports['x-kubernetes-list-type'], 'map')
  assert.deepEqual(spec.ports['x-kubernetes-list-map-keys'], ['port', 'protocol'])
  assert.deepEqual(spec.type.enum, ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'])
  assert.deepEqual(port.required, ['port'])
  assert.equal(port.properties.protocol.default, 'TCP')
  assert.equal(port.properties.port.format, 'int32')
  assert.equal(schemas['io.k8s.apimachinery.pkg.util.intstr.IntOrString'].format, 'int-or-string')
  assert.equal(schemas['io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector']?.['x-kubernetes-map-type'] ?? 'atomic', 'atomic')
  assert.deepEqual(schemas['io.k8s.api.core.v1.ConfigMap'].properties.binaryData.additionalProperties, { type: 'string', format: 'byte' })
  assert.ok(schemas['io.k8s.api.core.v1.ServiceList'] && schemas['io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions'])
})

test('what the walk-throughs ask kubectl explain about is described, and nothing describes a field that is not there', () => {
  const fields = ['Service', 'ServiceSpec', 'ServicePort'].flatMap(name => structSchema('core/v1', name)!.fields.map(field => `${name}.${field.name}`))
  const missing = fields.filter(key => !descriptionOf(key) && !descriptionOf(`*.${key.split('.')[1]}`))
  assert.deepEqual(missing, [])
  const known = new Set(Object.keys(data).flatMap(packageName => Object.keys((data as Any)[packageName].types).flatMap(name =>
    [name, ...(structSchema(packageName, name)?.fields.map(field => `${name}.${field.name}`) ?? [])])))
  assert.deepEqual(Object.keys(descriptions).filter(key => !key.startsWith('*.') && !known.has(key)), [])
  assert.equal(descriptionOf('constructor'), undefined)
  assert.match(documentOf('v1').components.schemas['io.k8s.api.core.v1.ServiceSpec'].properties.trafficDistribution.description, /PreferSameZone/)
})

// Names, labels, annotations, owners and finalizers, in upstream's words.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObjectMeta } from '#api/meta/v1.ts'
import { formatSelector, validateLabelSelector } from './labels.ts'
import { validateMetadata, validateMetadataUpdate } from './metadata.ts'
import { configMapKey, dns1035Label, dns1123Label, dns1123Subdomain, envVarName, labelValue, pathSegment, portName, qualifiedNameErrors } from './names.ts'

test('formats of names', () => {
  const good: [check: (value: string) => string[], values: string[]][] = [
    [dns1123Label, ['a', '1', 'a-b', 'x'.repeat(63)]], [dns1123Subdomain, ['a', 'a.b', '1.2-3']], [dns1035Label, ['a', 'a1-b']],
    [labelValue, ['', 'A', 'a.b_c-d', '1']], [qualifiedNameErrors, ['a', 'A_b', 'example.com/A.b']], [pathSegment, ['system:node', 'a b', 'a..b']],
    [portName, ['http', 'http-web-svc', '1a']], [configMapKey, ['a', '.a', 'A_b-c', '...a'.slice(2)]], [envVarName, ['A', 'a.b', '1 2', 'ä'.replace('ä', '~')]],
  ]
  for (const [check, values] of good) for (const value of values) assert.deepEqual(check(value), [], `${check.name} ${value}`)
  const bad: [check: (value: string) => string[], values: string[]][] = [
    [dns1123Label, ['', 'A', '-a', 'a-', 'a.b', 'a_b', 'x'.repeat(64), 'a\n']], [dns1123Subdomain, ['', 'a..b', '.a', 'a.', 'A.b', 'x'.repeat(254)]], [dns1035Label, ['1a', '']],
    [labelValue, ['-', 'a ', 'x'.repeat(64)]], [qualifiedNameErrors, ['', '/a', 'a/', 'a/b/c', 'A.com/b', '-a']], [pathSegment, ['.', '..', 'a/b', '50%']],
    [portName, ['', '80', 'a--b', '-a', 'HTTP', 'sixteen-letters-']], [configMapKey, ['', '.', '..', '..a', 'a/b']], [envVarName, ['', 'a=b', 'ä', 'a\n']],
  ]
  for (const [check, values] of bad) for (const value of values) assert.notDeepEqual(check(value), [], `${check.name} ${JSON.stringify(value)}`)
})

const texts = (meta: object, namespaced = true) => validateMetadata({ name: 'n', ...(namespaced && { namespace: 'd' }), ...meta } as ObjectMeta, { namespaced, name: dns1123Subdomain })
  .map(error => `${error.field}: ${error.message}`)

test('metadata', () => {
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: '1', controller: true }
  const cases: [meta: object, errors: string[], namespaced?: boolean][] = [
    [{}, []],
    [{ name: '' }, ['metadata.name: Required value: name or generateName is required']],
    [{ name: 'a.b-', generateName: 'a.b-' }, ["metadata.name: Invalid value: \"a.b-\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"]],
    [{ generateName: 'web-' }, []],
    [{ namespace: '' }, ['metadata.namespace: Required value']],
    [{ namespace: 'd' }, ['metadata.namespace: Forbidden: not allowed on this type'], false],
    [{ labels: { 'a b': 'c' } }, ["metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"]],
    [{ labels: { a: 'x'.repeat(64) } }, [`metadata.labels: Invalid value: "${'x'.repeat(64)}": must be no more than 63 bytes`]],
    [{ annotations: { a: 'x'.repeat(262144) } }, ['metadata.annotations: Too long: may not be more than 262144 bytes']],
    [{ annotations: { 'Upper.Case/is-fine': '' } }, []],
    [{ finalizers: ['kubernetes', 'orphan', 'example.com/mine'] }, []],
    [{ finalizers: ['mine'] }, ['metadata.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified']],
    [{ ownerReferences: [{ ...owner, uid: '' }] }, ['metadata.ownerReferences[0].uid: Invalid value: "": must not be empty']],
    [{ ownerReferences: [owner, { ...owner, name: 'q' }] }, [`metadata.ownerReferences: Invalid value: ${JSON.stringify([owner, { ...owner, name: 'q' }])}: Only one reference can have Controller set to true. Found "true" in references for p and q`]],
  ]
  for (const [meta, errors, namespaced] of cases) assert.deepEqual(texts(meta, namespaced), errors)
})

test('metadata on update', () => {
  const old = { metadata: { name: 'a', namespace: 'd', uid: '1', creationTimestamp: 't' } }
  const check = (change: object, before: object = {}) => validateMetadataUpdate({ metadata: { ...old.metadata, ...change } }, { metadata: { ...old.metadata, ...before } })
    .map(error => `${error.field}: ${error.message}`)
  assert.deepEqual(check({ labels: { a: 'b' } }), [])
  assert.deepEqual(check({ name: 'b' }), ['metadata.name: Invalid value: "b": field is immutable'])
  assert.deepEqual(check({ uid: '2' }), ['metadata.uid: Invalid value: "2": field is immutable'])
  assert.deepEqual(check({ finalizers: ['a/b', 'a/c'] }, { deletionTimestamp: 't', finalizers: ['a/b'] }),
    ['metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a/c"}'])
})

test('label selectors', () => {
  const check = (requirement: object) => validateLabelSelector({ matchExpressions: [requirement as never] }, 's').map(error => `${error.field}: ${error.message}`)
  assert.deepEqual(check({ key: 'a', operator: 'In', values: ['b'] }), [])
  assert.deepEqual(check({ key: 'a', operator: 'In' }), ["s.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"])
  assert.deepEqual(check({ key: 'a', operator: 'Exists', values: ['b'] }), ["s.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"])
  assert.deepEqual(check({ key: 'a', operator: 'Is' }), ['s.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator'])
  assert.equal(formatSelector(undefined), '<none>')
  assert.equal(formatSelector({ matchLabels: { b: '2', a: '1' }, matchExpressions: [{ key: 'c', operator: 'NotIn', values: ['y', 'x'] }, { key: 'd', operator: 'Exists' }, { key: 'e', operator: 'DoesNotExist' }] }),
    'a=1,b=2,c notin (x,y),d,!e')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chainName, isServiceChain } from './names.ts'

// From Kubernetes's own tests, from rules that real clusters printed, and from the walk-throughs.
const cases: [string, Parameters<typeof chainName>][] = [
  ['KUBE-SVC-XPGD46QRK7WJZT7O', ['KUBE-SVC-', 'ns1/svc1:p80', 'TCP']],
  ['KUBE-EXT-4SW47YFZTEDKD3PK', ['KUBE-EXT-', 'ns4/svc4:p80', 'TCP']],
  ['KUBE-SEP-UKSFD7AGPMPPLUHC', ['KUBE-SEP-', 'ns4/svc4:p80', 'TCP', '10.180.0.4:80']],
  ['KUBE-FW-NUKIZ6OKUXPJNT4C', ['KUBE-FW-', 'ns5/svc5:p80', 'TCP']],
  ['KUBE-SVC-NPX46M4PTMTKRN6Y', ['KUBE-SVC-', 'default/kubernetes:https', 'TCP']],
  ['KUBE-SVC-ODX2UBAZM7RQWOIU', ['KUBE-SVC-', 'default/hostnames:default', 'TCP']],
  // An unnamed port today, and as Kubernetes wrote it until 1.17, with the colon.
  ['KUBE-SVC-2CMXP7HKUVJN7L6M', ['KUBE-SVC-', 'default/nginx', 'TCP']],
  ['KUBE-SVC-NWV5X2332I4OT4T3', ['KUBE-SVC-', 'default/hostnames:', 'TCP']],
]
for (const [name, args] of cases) test(name, () => assert.equal(chainName(...args), name))

test('chains of Service ports are told from others', () => {
  for (const chain of ['KUBE-SVC-A', 'KUBE-SVL-A', 'KUBE-EXT-A', 'KUBE-FW-A', 'KUBE-SEP-A', 'KUBE-XLB-A']) assert.ok(isServiceChain(chain), chain)
  for (const chain of ['KUBE-SERVICES', 'KUBE-FORWARD', 'KUBE-FIREWALL', 'CNI-KUBE-SVC-A', 'PREROUTING']) assert.ok(!isServiceChain(chain), chain)
})

// ExternalName and headless Services: only the cluster's DNS makes them work, so that is looked at.
import { parseIp } from '#net/ip.ts'
import type { Finding } from '../explanation.ts'
import { isPodReady, type Facts } from '../facts.ts'
import { kubectl, patchService } from '../words.ts'

export function names(facts: Facts): Finding[] {
  if (facts.service.spec.type === 'ExternalName') return [...externalName(facts), ...dns(facts, 'error')]
  return facts.headless ? dns(facts, 'warning') : []
}

function externalName(facts: Facts): Finding[] {
  const { service, name, namespace } = facts, target = service.spec.externalName ?? ''
  const ip = parseIp(target)
  if (!ip) return []
  return [{
    severity: 'error', what: `externalName is the IP address ${target}: no DNS name leads to it.`,
    why: ['The API accepts it as a name of digits and dots. A Service of type ExternalName is a CNAME record, which holds a name and never an address; DNS servers and clients do not resolve a name that looks like an IP.',
      'For a fixed address use a Service without a selector and an EndpointSlice that holds the address.'],
    command: ipInstead({ name, namespace, target, family: ip.family, port: service.spec.ports?.[0]?.port ?? 80, labels: service.metadata.labels ?? {} }),
  }]
}

const ipInstead = ({ name, namespace, target, family, port }: { name: string; namespace: string; target: string; family: number; port: number; labels: object }): string =>
  [`kubectl -n ${namespace} delete service ${name}`, `kubectl -n ${namespace} create -f - <<'EOF'`,
    'apiVersion: v1', 'kind: Service', `metadata: {name: ${name}}`, `spec: {${family === 6 ? 'ipFamilies: [IPv6], ' : ''}ports: [{port: ${port}}]}`, '---',
    ...sliceManifest({ name, address: target, family, ports: `[{port: ${port}}]` }), 'EOF'].join('\n')

/** An EndpointSlice by hand. */
export const sliceManifest = ({ name, address, family, ports }: { name: string; address: string; family: number; ports: string }): string[] => [
  'apiVersion: discovery.k8s.io/v1', 'kind: EndpointSlice', `metadata: {name: ${name}-1, labels: {kubernetes.io/service-name: ${name}}}`,
  `addressType: IPv${family}`, `endpoints: [{addresses: ["${address}"]}]`, `ports: ${ports}`]

const dnsLabels = ['k8s-app', 'app.kubernetes.io/name']
const dnsNames = ['kube-dns', 'coredns']

function dns(facts: Facts, severity: 'error' | 'warning'): Finding[] {
  const pods = facts.objects.pods.filter(pod => dnsLabels.some(label => dnsNames.includes(pod.metadata.labels?.[label] ?? '')))
  const seesSystem = facts.objects.pods.some(pod => pod.metadata.namespace === 'kube-system')
  if (!seesSystem && pods.length === 0) return [] // its pods may be there and not be shown to us
  if (pods.some(isPodReady)) return []
  return [{
    severity, what: pods.length > 0 ? 'No pod of the cluster DNS is ready.' : 'No cluster DNS runs.',
    why: [`${facts.headless ? 'A headless Service' : 'A Service of type ExternalName'} is a DNS name and nothing else: without a DNS server ${facts.name}.${facts.namespace} does not resolve.`,
      ...(pods.length > 0 ? [] : ['No pod has the label k8s-app=kube-dns.'])],
    command: kubectl('kube-system', pods.length > 0 ? `describe pods -l k8s-app=kube-dns` : 'get pods -l k8s-app=kube-dns'),
  }]
}

/** Ways in which the Service asks that no proxy handle it, or is about to go. */
export function spec({ service, namespace, name }: Facts): Finding[] {
  const found: Finding[] = []
  if (service.metadata.deletionTimestamp) {
    found.push({ severity: 'warning', what: 'The Service is being deleted.', why: [`It waits for its finalizers: ${service.metadata.finalizers?.join(', ') ?? 'none'}.`], command: kubectl(namespace, `get service ${name} -o yaml`) })
  }
  const proxy = service.metadata.labels?.['service.kubernetes.io/service-proxy-name']
  if (proxy !== undefined) {
    found.push({ severity: 'warning', what: `kube-proxy leaves this Service alone: its label service.kubernetes.io/service-proxy-name gives it to "${proxy}".`,
      why: ['Only if a proxy of that name runs on the nodes does anything carry its packets.'], command: kubectl(namespace, `label service ${name} service.kubernetes.io/service-proxy-name-`) })
  }
  if (service.spec.type === 'ExternalName' && service.spec.externalName === '') {
    found.push({ severity: 'error', what: 'externalName is empty.', why: [], command: patchService(service, '/spec/externalName', 'NAME') })
  }
  return found
}

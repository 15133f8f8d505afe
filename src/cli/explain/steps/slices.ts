// Do the endpoint slices say what the pods say? They are all that a proxy reads. And a Service
// without a selector: has someone filled its endpoints, under the names of its ports?
import type { Endpoints } from '#api/core/v1.ts'
import type { Finding } from '../explanation.ts'
import { canonical, isPodReady, isUsable, targetIn, type Facts } from '../facts.ts'
import { targetPort } from '../targets.ts'
import { count, kubectl, listed } from '../words.ts'
import { sliceManifest } from './names.ts'

export function slices(facts: Facts): Finding[] {
  if (facts.service.spec.type === 'ExternalName') return []
  return facts.selector ? selected(facts) : byHand(facts)
}

function selected(facts: Facts): Finding[] {
  const { namespace, name, seen } = facts
  const due = facts.pods.filter(pod => isPodReady(pod) && !pod.metadata.deletionTimestamp && pod.status?.podIP
    && facts.ports.some(port => targetPort(pod, port) !== undefined))
  const written = new Set(facts.endpoints.filter(endpoint => endpoint.ready).map(endpoint => endpoint.ip))
  const missing = due.filter(pod => !written.has(canonical(pod.status!.podIP!)))
  if (missing.length === 0) return []
  const where = facts.objects.slices.length === 0 ? 'The Service has no EndpointSlice' : `The Service's EndpointSlices leave out ${count(missing.length, 'ready pod')}`
  return [{ severity: 'error', what: `${where}: ${listed(missing.map(pod => pod.metadata.name), 4)} get no traffic.`,
    why: ['The EndpointSlice controller of the control plane writes them: it is behind, or does not run. The proxies read nothing else.'],
    command: seen.own ? `fairway logs server${seen.own.flags} --tail 50` : kubectl(namespace, `get endpointslices -l kubernetes.io/service-name=${name} -o yaml`) }]
}

function byHand(facts: Facts): Finding[] {
  const { endpoints, objects } = facts
  if (endpoints.length === 0) return [addresses(objects.endpoints).length > 0 ? notMirrored(facts) : nobody(facts)]
  const mismatched = facts.ports.filter(port => !endpoints.some(endpoint => targetIn(endpoint, port)))
  if (mismatched.length > 0) return mismatched.map(port => otherName(facts, port.name ?? '', port.protocol ?? 'TCP'))
  if (endpoints.some(isUsable)) return []
  return [{ severity: 'error', what: `${endpoints.length === 1 ? 'The only address' : `All ${count(endpoints.length, 'addresse')}`} of the Service ${endpoints.length === 1 ? 'is' : 'are'} marked as not ready.`, why: ['It has no selector: who wrote the endpoints says which are ready.'],
    command: kubectl(facts.namespace, `get endpointslices -l kubernetes.io/service-name=${facts.name} -o yaml`) }]
}

const addresses = (endpoints: Endpoints | undefined) => (endpoints?.subsets ?? []).flatMap(subset => [...subset.addresses ?? [], ...subset.notReadyAddresses ?? []])

function nobody(facts: Facts): Finding {
  const { namespace, name, service } = facts, family = service.spec.ipFamilies?.[0] === 'IPv6' ? 6 : 4
  const ports = `[${facts.ports.map(({ name, port, targetPort, protocol = 'TCP' }) => `{${name ? `name: ${name}, ` : ''}port: ${typeof targetPort === 'number' ? targetPort : port}${protocol === 'TCP' ? '' : `, protocol: ${protocol}`}}`).join(', ')}]`
  return { severity: 'error', what: 'The Service has no selector, and nobody has given it endpoints.',
    why: ['Without a selector no controller fills them in: an EndpointSlice labelled kubernetes.io/service-name, or an Endpoints object of the Service\'s name, must hold the addresses.'],
    command: [`kubectl -n ${namespace} create -f - <<'EOF'`, ...sliceManifest({ name, address: 'ADDRESS', family, ports }), 'EOF'].join('\n') }
}

function notMirrored({ namespace, name, objects, seen }: Facts): Finding {
  const found = addresses(objects.endpoints).map(address => address.ip)
  return { severity: 'error', what: `The Endpoints object ${name} holds ${listed(found)}, but no EndpointSlice does.`,
    why: [objects.endpoints?.metadata.labels?.['endpointslice.kubernetes.io/skip-mirror'] === 'true' ? 'Its label endpointslice.kubernetes.io/skip-mirror=true forbids the copy.'
      : 'Proxies read EndpointSlices only; the EndpointSliceMirroring controller, which copies Endpoints into them, is behind or does not run.'],
    command: objects.endpoints?.metadata.labels?.['endpointslice.kubernetes.io/skip-mirror'] === 'true' ? kubectl(namespace, `label endpoints ${name} endpointslice.kubernetes.io/skip-mirror-`)
      : seen.own ? `fairway logs server${seen.own.flags} --tail 50` : kubectl(namespace, `get endpoints,endpointslices -l kubernetes.io/service-name=${name}`) }
}

function otherName(facts: Facts, name: string, protocol: string): Finding {
  const found = [...new Set(facts.endpoints.flatMap(endpoint => endpoint.ports.map(port => `${port.name ? `"${port.name}"` : 'unnamed'} (${port.port}/${port.protocol})`)))]
  const wanted = name ? `port "${name}"` : 'unnamed port'
  return { severity: 'error', what: `The Service's ${wanted} (${protocol}) has no endpoints: theirs are ${listed(found) || 'none'}.`,
    why: ['A port of the endpoints belongs to the Service\'s port of the same name and protocol; the numbers do not count.'],
    command: kubectl(facts.namespace, `edit ${facts.objects.endpoints && facts.objects.slices.some(slice => slice.metadata.labels?.['endpointslice.kubernetes.io/managed-by'] === 'endpointslicemirroring-controller.k8s.io') ? `endpoints ${facts.name}` : `endpointslice ${facts.objects.slices[0]?.metadata.name ?? ''}`}`) }
}

// For tests: a proxy in ebpf mode with one Service (10.96.9.9:80 -> the endpoint given) for the network
// namespace given, until it is killed. Says `ready`, or why it is refused.
import { silent } from '#lib/log.ts'
import { proxyConfig } from '../../../config.ts'
import { Metrics } from '../../../metrics.ts'
import { desiredPorts } from '../../../state.ts'
import { create } from '../../apply.ts'

const [netns, endpoint] = process.argv.slice(2) as [string, string]
const plane = await create({ family: 4, config: proxyConfig(new Map(), new Map()), nodeName: 'n', log: silent, metrics: new Metrics(), labels: {}, ...netns !== '' && { netns } })
if ('refused' in plane) console.log(plane.refused)
else {
  const ports = desiredPorts({ nodes: [],
    services: [{ metadata: { namespace: 'default', name: 'web' }, spec: { clusterIP: '10.96.9.9', ports: [{ port: 80, protocol: 'TCP' }] } }],
    slices: [{ metadata: { namespace: 'default', name: 'web', labels: { 'kubernetes.io/service-name': 'web' } }, addressType: 'IPv4', ports: [{ name: '', port: Number(endpoint.split(':')[1]) }], endpoints: [{ addresses: [endpoint.split(':')[0]!] }] }],
  }, { nodeName: 'n', family: 4 })
  await plane.apply(ports, { family: 4, masqueradeAll: false, masqueradeBit: 14, nodePortAddresses: 'all', localhostNodePorts: true, tcpBeLiberal: false, nodeIP: undefined })
  console.log('ready')
  process.on('SIGTERM', () => { void plane.stop().then(() => process.exit(0)) })
  setInterval(() => {}, 1 << 30)
}

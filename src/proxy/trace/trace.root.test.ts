// `fairway proxy trace` as a command, on a node made of namespaces: what it prints, that it reads the
// kernel and not what somebody meant, and that --live sees the same.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { findIptables } from '#host/iptables.ts'
import { findNft, nft } from '#host/nft.ts'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { proxyConfig } from '../config.ts'
import { cleanup, create } from '../iptables/apply.ts'
import { Metrics } from '../metrics.ts'
import { NftablesPlane } from '../nftables/apply.ts'
import { manifestState, podPort } from '../packets.ts'
import { makeNetwork, type Network } from '../testing/apply.ts'

const skip = process.getuid?.() !== 0 ? 'needs root' : await findNft() && await findIptables(4) ? false : 'nft or iptables does not work here'
let network: Network
before(async () => { if (!skip) network = await makeNetwork({ ports: [podPort] }) })
after(() => network?.close())

const node = () => network.machines.node.path
const state = (manifest: string) => {
  const file = join(import.meta.dirname, '../testdata', `${manifest}.in.yaml`)
  return manifestState(parseYamlDocuments(readFileSync(file, 'utf8'), file), 4)
}
async function trace(...argv: string[]): Promise<{ code: number; text: string }> {
  const command = ['sh', '-c', '"$@" 2>&1; echo "exit $?"', 'sh', process.execPath, '--no-warnings', join(import.meta.dirname, '../../main.ts'), 'proxy', 'trace', ...argv]
  const [, text, code] = /^([^]*)exit (\d+)\n$/.exec((await run(command, { netns: node() })).stdout)!
  return { code: Number(code), text: text! }
}

test('nftables: rules with their reasons, ends with their chances; a rule deleted by hand changes the answer', { skip }, async () => {
  const { ports, options } = state('hostnames'), table = 'ip kube-proxy', tool = nft(node())
  await new NftablesPlane(tool, { family: 4, metrics: new Metrics(), labels: {}, log: silent }).apply(ports, options)
  const { text } = await trace('--from', '10.244.1.2', '--to', '10.96.0.20:80')
  assert.match(text, /^tcp from 10\.244\.1\.2 to 10\.96\.0\.20:80, arriving by veth-a\nmode nftables/)
  assert.match(text, /every such packet:\n  filter-prerouting-pre-dnat/)
  assert.match(text, /vmap @service-ips   # 10\.96\.0\.20 \. tcp \. 80 : goto cluster-ip-3\n      -> the address and port are those of the Service/)
  for (const endpoint of [/33\.3 %  to 10\.244\.1\.2:9376, with the node's address/, /33\.3 %  to 10\.244\.1\.3:9376, source kept/, /33\.3 %  to 10\.244\.2\.2:9376, source kept/]) assert.match(text, endpoint)
  assert.match(text, /a pod reaches itself/)
  const live = await trace('--to', '10.96.0.20:80', '--live')
  assert.equal(live.code, 0, live.text)
  assert.match(live.text, /live: 30 connections\n[^]*as traced\n$/)
  await tool.apply(`delete element ${table} endpoints { 10.96.0.20 . tcp . 80 . 1 }\n`)
  assert.match((await trace('--from', '10.244.1.2', '--to', '10.96.0.20:80')).text, /33\.3 %  no rule of the proxy takes it|33\.3 %  refused/)
  assert.match((await trace('--from', '10.244.1.2', '--to', '10.96.0.20:81')).text, /100 %  refused[^]*it has no such port/)
  await tool.apply(`add rule ${table} services ip length 40 drop\n`)
  assert.match((await trace('--from', '10.244.1.2', '--to', '10.9.9.9:81')).text, /does not know this rule: ip length 40 drop/)
  await tool.apply(`delete table ${table}\n`)
})

test('iptables: the same, and other programs\' rules are an error only where the packet meets them', { skip }, async () => {
  const config = proxyConfig(new Map(), new Map()), context = { family: 4 as const, config, nodeName: 'n', log: silent, metrics: new Metrics(), labels: {}, netns: node() }
  const plane = await create(context)
  if ('refused' in plane) throw new Error(plane.refused)
  const { ports, options } = state('external-local')
  await plane.apply(ports, options)
  const { text } = await trace('--from', '192.168.109.200', '--to', '192.168.109.101:30050')
  assert.match(text, /^tcp from 192\.168\.109\.200 to 192\.168\.109\.101:30050, arriving by eth0\nmode iptables \(iptables/)
  assert.match(text, /100 %  to 10\.244\.1\.2:9376, source kept/)
  assert.match((await trace('--from', '192.168.109.200', '--to', '192.168.109.101:30051')).text, /100 %  dropped[^]*no endpoint is on this node/)
  assert.match((await trace('--to', '192.168.109.101:30051', '--live')).text, /100 %  to 10\.244\.2\.2:9376, with the node's address[^]*as traced/)
  const foreign = ['PREROUTING', '-p', 'tcp', '-m', 'tcp', '--dport', '30050', '-j', 'REDIRECT', '--to-ports', '10']
  for (const [verb, expected] of [['-A', /100 %  to 10/], ['-I', /does not know this rule/]] as const) {
    await run(['iptables', '-t', 'nat', verb, ...foreign], { netns: node() })
    assert.match((await trace('--from', '192.168.109.200', '--to', '192.168.109.101:30050')).text, expected)
  }
  await run(['iptables', '-t', 'nat', '-F', 'PREROUTING'], { netns: node() })
  await cleanup({ log: silent, inForce: undefined, config, netns: node() })
})

const refused: [string[], RegExp][] = [
  [[], /say where the packet goes/], [['--to', '10.0.0.1'], /an address needs a port, as in 10\.0\.0\.1:80/], [['--to', 'web', '--mode', 'ipvs'], /--mode ipvs: only the rules of iptables or nftables can be traced/],
  [['--to', 'web:80', '--kubeconfig', '/nowhere'], /cannot read the kubeconfig/], [['--too', 'x'], /takes --from, --to/], [['--to', '10.0.0.1:80'], /no rules of a proxy/], [['--from', 'fd00::1', '--to', '10.0.0.1:80'], /an IPv6 address, and 10\.0\.0\.1 an IPv4/],
]
for (const [argv, message] of refused) test(`refused: ${argv.join(' ')}`, { skip }, async () => assert.match((await trace(...argv)).text, message))

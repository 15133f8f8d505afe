import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseYaml } from '#lib/yaml.ts'
import { duration, parseConfigFile, parseFlags, proxyConfig } from './config.ts'
import { usage } from './help.ts'

const head = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n'
const config = (yaml: string, ...argv: string[]) => proxyConfig(parseConfigFile(parseYaml(head + yaml), 'f.yaml'), parseFlags(argv).settings)

test('what kubeadm writes is accepted', () => {
  const { mode, healthzBindAddress, metricsBindAddress, syncPeriod, minSyncPeriod, masqueradeBit, localhostNodePorts, clusterCIDRs, conntrack } = config(`
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection: {acceptContentTypes: "", burst: 0, contentType: "", kubeconfig: /var/lib/kube-proxy/kubeconfig.conf, qps: 0}
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack: {maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null, tcpEstablishedTimeout: null, udpStreamTimeout: 0s, udpTimeout: 0s}
detectLocal: {bridgeInterface: "", interfaceNamePrefix: ""}
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables: {localhostNodePorts: null, masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
ipvs: {excludeCIDRs: null, minSyncPeriod: 0s, scheduler: "", strictARP: false, syncPeriod: 0s, tcpFinTimeout: 0s, tcpTimeout: 0s, udpTimeout: 0s}
logging: {flushFrequency: 0, options: {json: {infoBufferSize: "0"}, text: {infoBufferSize: "0"}}, verbosity: 0}
metricsBindAddress: ""
mode: ""
nftables: {masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel: {enableDSR: false, forwardHealthCheckVip: false, networkName: "", rootHnsEndpointName: "", sourceVip: ""}
`)
  assert.deepEqual({ mode, healthzBindAddress, metricsBindAddress, syncPeriod, minSyncPeriod, masqueradeBit, localhostNodePorts }, {
    mode: 'iptables', healthzBindAddress: '0.0.0.0:10256', metricsBindAddress: '127.0.0.1:10249', syncPeriod: 30_000, minSyncPeriod: 0, masqueradeBit: 14, localhostNodePorts: true })
  assert.equal(clusterCIDRs.length, 1)
  assert.deepEqual(conntrack, { maxPerCore: 32768, min: 131072, tcpBeLiberal: false, tcpEstablishedTimeout: 86400, tcpCloseWaitTimeout: 3600, udpTimeout: 0, udpStreamTimeout: 0 })
})

test('a flag wins over the file, in each way of writing it', () => {
  const yaml = 'hostnameOverride: a\niptables: {masqueradeAll: true, syncPeriod: 1m30s}\nnodePortAddresses: [10.0.0.0/8]\n'
  assert.equal(config(yaml).syncPeriod, 90_000)
  assert.equal(config(yaml, '--hostname-override=B').hostnameOverride, 'b')
  assert.equal(config(yaml, '--hostname-override', 'c').hostnameOverride, 'c')
  assert.equal(config(yaml, '--masquerade-all=false').masqueradeAll, false)
  assert.equal(config('', '--masquerade-all').masqueradeAll, true)
  assert.deepEqual(config(yaml, '--nodeport-addresses', '192.168.1.7/24,fd00::/8').nodePortAddresses, ['192.168.1.0/24', 'fd00::/8'])
  assert.equal(config(yaml, '-v=4').verbosity, 4)
  assert.equal(config('', '--healthz-bind-address=127.0.0.1:0').healthzBindAddress, undefined)
  assert.equal(config('', '--metrics-bind-address=[::1]').metricsBindAddress, '[::1]:10249')
})

test('node port addresses: what an absent list means is the mode\'s, and so is localhost', () => {
  const ports = (yaml: string) => { const { nodePortAddresses, localhostNodePorts } = config(yaml); return [nodePortAddresses, localhostNodePorts] }
  assert.deepEqual(ports(''), [[], true])
  assert.deepEqual(ports('mode: nftables'), [['primary'], false])
  assert.deepEqual(ports('mode: nftables\nnodePortAddresses: [all]'), [[], false])
  assert.deepEqual(ports('mode: nftables\nnodePortAddresses: [primary, localhost]'), [['primary', '127.0.0.0/8'], true])
  assert.deepEqual(ports('nodePortAddresses: [primary]\niptables: {localhostNodePorts: false}'), [['primary'], false])
})

test('a mode reads its own section, and flags hold in every mode', () => {
  const yaml = 'mode: nftables\niptables: {masqueradeAll: true, syncPeriod: 1m}\nnftables: {masqueradeBit: 3, syncPeriod: 2m}\n'
  const { masqueradeAll, masqueradeBit, syncPeriod } = config(yaml)
  assert.deepEqual([masqueradeAll, masqueradeBit, syncPeriod], [false, 3, 120_000])
  assert.equal(config(yaml, '--masquerade-all').masqueradeAll, true)
  assert.equal(config(yaml, '--iptables-sync-period=5s').syncPeriod, 5000)
})

const badFiles: [string, RegExp][] = [
  ['iptables: {masqueradeall: true}', /^f\.yaml: unknown field "iptables\.masqueradeall"$/],
  ['foo: 1', /unknown field "foo"/],
  ['toString: 1', /unknown field "toString"/],
  ['iptables: true', /iptables must be an object/],
  ['iptables: {masqueradeAll: "yes"}', /iptables\.masqueradeAll: must be true or false, not "yes"/],
  ['iptables: {syncPeriod: 30}', /iptables\.syncPeriod: must be a duration such as 30s/],
  ['iptables: {syncPeriod: -1s}', /iptables\.syncPeriod: must not be negative/],
  ['iptables: {masqueradeBit: 32}', /masqueradeBit: must be from 0 to 31, not 32/],
  ['clusterCIDR: 10.244.0.0', /clusterCIDR: "10\.244\.0\.0" is no CIDR/],
  ['nodePortAddresses: [primary, 10.0.0.0/8]', /primary stands beside no CIDR/],
  ['mode: kernelspace', /mode: kernelspace \(.*\) is not supported: use .*iptables/],
  ['mode: fast', /mode: "fast" is no proxy mode/],
  ['mode: constructor', /is no proxy mode/],
  ['detectLocalMode: Magic', /detectLocalMode: "Magic" is none of ClusterCIDR, /],
  ['detectLocalMode: BridgeInterface', /detectLocal\.bridgeInterface: must be set/],
  ['healthzBindAddress: localhost:port', /healthzBindAddress: "localhost:port" is no address/],
]
for (const [yaml, message] of badFiles) test(`refused: ${yaml}`, () => assert.throws(() => config(yaml), { message }))

test('another kind of file is refused', () => {
  assert.throws(() => parseConfigFile({ apiVersion: 'v1', kind: 'Config' }, 'f'), /apiVersion and kind must be/)
  assert.throws(() => parseConfigFile([], 'f'), /this is no KubeProxyConfiguration/)
})

const badFlags: [string[], RegExp][] = [
  [['--proxy-mod', 'x'], /unknown flag: --proxy-mod; see fairway proxy --help/], [['--config'], /flag needs an argument: --config/],
  [['start'], /start: fairway proxy takes only flags/], [['--masquerade-all=1x'], /--masquerade-all: must be true or false/],
  [['--oom-score-adj=low'], /--oom-score-adj: must be an integer/], [['--write-config-to=x'], /--write-config-to is not supported/],
]
for (const [argv, message] of badFlags) test(`refused: ${argv.join(' ')}`, () => assert.throws(() => parseFlags(argv), { message }))

test("durations are Go's", () => {
  for (const [text, ms] of [['30s', 30_000], ['1m30s', 90_000], ['1.5h', 5_400_000], ['100ms', 100], ['0', 0], ['0s', 0], ['-2s', -2000]] as const) assert.equal(duration(text), ms, text)
  for (const text of ['', '5', 's', '1d', '1s ', '1m-30s']) assert.equal(duration(text), undefined, text)
})

test('the help names every flag', () => assert.match(usage(), /--nodeport-addresses strings +nodePortAddresses[^]*kernelspace .*\(not supported\)/))

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '#api/core/v1.ts'
import { healthCheckAnswer, healthChecks, ProxyHealth } from './health.ts'
import { Metrics } from './metrics.ts'
import type { ProxiedPort } from './state.ts'

const node = (more: object = {}) => ({ metadata: { name: 'n' }, spec: {}, ...more }) as Node

test('healthy from the first sync on, for as long as no change waits too long', () => {
  const health = new ProxyHealth(60_000)
  health.node(node())
  const codes = (now: number) => [health.answer('/healthz', now).code, health.answer('/livez', now).code]
  assert.deepEqual(codes(0), [503, 503])
  health.updated(4, 1000)
  assert.deepEqual(codes(1_000_000), [200, 200])
  health.queued(4, 1_000_000)
  health.queued(4, 1_050_000) // the oldest counts
  assert.deepEqual(codes(1_059_999), [200, 200])
  assert.deepEqual(codes(1_060_000), [503, 503])
  health.updated(6, 1_060_000)
  assert.deepEqual(codes(1_060_000), [503, 503], 'the other family does not heal this one')
  health.updated(4, 1_060_000)
  assert.deepEqual(codes(1_060_000), [200, 200])
})

test('a node that goes away answers /healthz with 503 and /livez with 200', () => {
  const health = new ProxyHealth(60_000)
  health.updated(4, 0)
  for (const going of [node({ spec: { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] } }), node({ metadata: { name: 'n', deletionTimestamp: 'x' } }), undefined]) {
    health.node(going)
    assert.deepEqual([health.answer('/healthz', 0).code, health.answer('/livez', 0).code], [503, 200])
  }
  assert.deepEqual(JSON.parse(health.answer('/healthz', 0).body), { lastUpdated: '1970-01-01 00:00:00.000 +0000 UTC', currentTime: '1970-01-01 00:00:00.000 +0000 UTC', nodeEligible: false })
})

test('a health check node port answers for its Service', () => {
  const port = (healthCheckNodePort: number, localReady: number) => ({ service: 'ns/s', healthCheckNodePort, localReady }) as ProxiedPort
  const checks = healthChecks([port(32000, 2), port(32000, 1), port(0, 5), port(32001, 0)])
  assert.deepEqual([...checks.keys()], [32000, 32001])
  const { code, headers, body } = healthCheckAnswer(checks.get(32000)!, true)
  assert.deepEqual([code, headers!['X-Load-Balancing-Endpoint-Weight'], JSON.parse(body)], [200, '2', { service: { namespace: 'ns', name: 's' }, localEndpoints: 2, serviceProxyHealthy: true }])
  assert.equal(healthCheckAnswer(checks.get(32000)!, false).code, 503)
  assert.equal(healthCheckAnswer(checks.get(32001)!, true).code, 503)
})

test("metrics are Prometheus's text", () => {
  const metrics = new Metrics()
  metrics.add('proxy_healthz_total', { code: '200' })
  metrics.add('proxy_healthz_total', { code: '200' })
  metrics.observe('sync_proxy_rules_duration_seconds', 0.003, { ip_family: 'IPv4' })
  const lines = metrics.text().split('\n')
  assert.deepEqual(lines.slice(0, 6), ['# HELP kubeproxy_proxy_healthz_total [ALPHA] Cumulative proxy healthz HTTP status', '# TYPE kubeproxy_proxy_healthz_total counter', 'kubeproxy_proxy_healthz_total{code="200"} 2',
    '# HELP kubeproxy_sync_proxy_rules_duration_seconds [ALPHA] SyncProxyRules latency in seconds', '# TYPE kubeproxy_sync_proxy_rules_duration_seconds histogram', 'kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="0.001"} 0'])
  assert.ok(lines.includes('kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="0.004"} 1') && lines.includes('kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1'))
})

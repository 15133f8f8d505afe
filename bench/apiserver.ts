// What the API server costs: requests in this process and over HTTPS, in memory and durable, and how many
// watchers one write can wake. `node bench/apiserver.ts`
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensurePki } from '#apiserver/pki/apply.ts'
import { createApiServer, type ApiServer } from '#apiserver/server.ts'
import { httpsTransport } from '#client/https.ts'
import type { Transport } from '#client/transport.ts'
import { silent } from '#lib/log.ts'

const dir = mkdtempSync(join(tmpdir(), 'fairway-bench-'))
const base = '/api/v1/namespaces/default'
const pod = { spec: { containers: [{ name: 'c', image: 'nginx', ports: [{ containerPort: 80 }] }] } }

/** Runs `work` `count` times, `together` at once, and prints wall and CPU time of each. */
async function measure(name: string, count: number, together: number, work: (n: number) => Promise<unknown>): Promise<void> {
  const began = performance.now(), used = process.cpuUsage()
  for (let n = 0; n < count; n += together) await Promise.all(Array.from({ length: together }, (_, offset) => work(n + offset)))
  const { user, system } = process.cpuUsage(used)
  console.log(`${name.padEnd(48)} ${(((performance.now() - began) * 1000) / count).toFixed(0).padStart(6)} us each, CPU ${((user + system) / count).toFixed(0).padStart(5)} us`)
}

// Sixteen together, because the client keeps sixteen idle connections: more would measure TLS handshakes.
const together = 16

async function requests(place: string, api: Transport): Promise<void> {
  let last = 0
  const create = (plural: string, body: object) => () => api.request({ method: 'POST', path: `${base}/${plural}`, body: { metadata: { name: `x${++last}` }, ...body } })
  await measure(`${place}: warming up`, 608, together, create('pods', pod))
  await measure(`${place}: create a pod, one at a time`, 500, 1, create('pods', pod))
  await measure(`${place}: create a pod, ${together} at once`, 2000, together, create('pods', pod))
  await measure(`${place}: create a Service, ${together} at once`, 1008, together, create('services', { spec: { ports: [{ port: 80 }] } }))
  await measure(`${place}: patch a pod's status, ${together} at once`, 496, together, n => api.request({ method: 'PATCH', path: `${base}/pods/x${n + 1}/status`,
    contentType: 'application/strategic-merge-patch+json', body: { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } } }))
  await measure(`${place}: get a pod`, 2000, 1, n => api.request({ method: 'GET', path: `${base}/pods/x${(n % 500) + 1}` }))
  await measure(`${place}: list 3,100 pods`, 10, 1, () => api.request({ method: 'GET', path: `${base}/pods` }))
}

async function watchers(server: ApiServer, api: Transport, count: number): Promise<void> {
  const stop = new AbortController()
  let woken = 0
  const request = { method: 'GET' as const, path: `${base}/configmaps`, query: { watch: 'true', resourceVersion: String(server.storage.revision) }, signal: stop.signal }
  const ended = Array.from({ length: count }, async () => { for await (const _ of api.watch(request)) woken++ })
  await new Promise(resolve => setImmediate(resolve))
  await measure(`in memory: create a ConfigMap for ${count} watchers`, 50, 1, n => api.request({ method: 'POST', path: `${base}/configmaps`, body: { metadata: { name: `w${count}-${n}` } } }))
  stop.abort()
  await Promise.all(ended)
  if (woken !== 50 * count) throw new Error(`${woken} events arrived, not ${50 * count}`)
}

async function begin(storageFile: string | undefined): Promise<{ server: ApiServer; api: Transport; close(): Promise<void>; https: Transport }> {
  const pki = await ensurePki(join(dir, 'pki'), { serviceIp: '10.96.0.1', advertiseAddress: '127.0.0.1', nodeNames: [] })
  const server = await createApiServer({ pki, storageFile }, { log: silent })
  const api = server.transport({ name: 'bench', groups: ['system:masters'] })
  await api.request({ method: 'POST', path: `${base}/serviceaccounts`, body: { metadata: { name: 'default' } } })
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  const https = httpsTransport({ server: `https://127.0.0.1:${port}`, ca: pki.ca, cert: pki.admin.cert, key: pki.admin.key })
  return { server, api, https, close: async () => { https.close(); await server.close() } }
}

try {
  const memory = await begin(undefined)
  await requests('in memory', memory.api)
  for (const count of [100, 1000, 10_000]) await watchers(memory.server, memory.api, count)
  await memory.close()
  const durable = await begin(join(dir, 'a.db'))
  await requests('durable', durable.api)
  await durable.close()
  const remote = await begin(join(dir, 'b.db'))
  await requests('durable, HTTPS (client included)', remote.https)
  await remote.close()
  console.log(`memory at the end: ${process.memoryUsage().rss >> 20} MiB`)
} finally {
  rmSync(dir, { recursive: true })
}

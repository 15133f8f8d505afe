// `fairway explain service` on a real cluster: the walk-throughs in which something is wrong. Where the
// page prints a command that mends it, the command is run as printed and the page read again.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { eventually, execute, kubectlProgram, manifest, startCluster, type Result, type TestCluster } from '../cluster.ts'

let cluster: TestCluster
before(async () => { cluster = await startCluster() }, { timeout: 120_000 })
after(async () => { await cluster?.remove() })

const explain = (name: string, ...flags: string[]): Promise<Result> => cluster.fairway('explain', ['service', name, ...flags])
const kubectl = (...args: string[]) => cluster.kubectl(args)
const create = (input: string) => cluster.kubectl(['create', '-f', '-'], { input })
const createFile = (name: string) => kubectl('create', '-f', manifest(name))

/** The page once it has the wanted exit status and text. */
const page = (name: string, code: number, ...wanted: RegExp[]): Promise<string> => eventually(async () => {
  const { stdout, stderr, ...result } = await explain(name)
  for (const pattern of wanted) assert.match(stdout, pattern, stderr)
  assert.equal(result.code, code, stdout + stderr)
  return stdout
})

/** Runs the first command of a page as a person would who pastes it. */
async function follow(text: string, edit = (command: string) => command): Promise<void> {
  const lines = text.split('\n'), start = lines.findIndex(line => line.startsWith('     $ '))
  const more = lines.slice(start + 1).findIndex(line => !line.startsWith('       '))
  const command = edit(lines.slice(start, start + 1 + more).map(line => line.slice(7)).join('\n'))
  const program = await kubectlProgram('1.36')
  const result = await execute(['sh', '-c', `kubectl() { ${program} "$@"; }\n${command}`], { env: { KUBECONFIG: cluster.kubeconfig } })
  assert.equal(result.code, 0, `${command}\n${result.stderr}`)
}

const agnhost = 'registry.k8s.io/e2e-test-images/agnhost:2.40'
const podAndService = (name: string, container: object, ports: object[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [
  { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: name } }, spec: { containers: [{ name: 'main', image: agnhost, ...container }] } },
  { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { selector: { app: name }, ports } },
] })

suite('fairway explain service', () => {
  test('everything fine: exit status 0, in text, JSON and YAML, and with any kubeconfig', async () => {
    await kubectl('create', 'ns', 'dev')
    await createFile('b01-deployment')
    await createFile('b04-service-nodeport')
    const pods = await cluster.readyPods('app=nginx-pod', 3, 'dev')
    const { code, stdout } = await eventually(async () => { const result = await explain('service-nodeport', '-n', 'dev'); assert.equal(result.code, 0, result.stdout); return result })
    assert.equal(code, 0)
    assert.match(stdout, /^Service dev\/service-nodeport \(NodePort\) works\. Three endpoints answer for it\.$/m)
    for (const pod of pods) assert.match(stdout, new RegExp(`^  ${pod.name} +${pod.node} +${pod.ip}:80 +yes, from every node$`, 'm'))
    assert.match(stdout, /answers on k8s-master01 192\.168\.109\.100:30003, k8s-node01 192\.168\.109\.101:30003 and k8s-node02 192\.168\.109\.102:30003/)
    const tried = /fairway shell .* client -- (curl .*)$/m.exec(stdout)![1]!
    assert.match((await cluster.shell('client', tried.split(' '))).stdout, /nginx/)
    const json = JSON.parse((await explain('service-nodeport', '-n', 'dev', '-o', 'json')).stdout) as { works: boolean; endpoints: unknown[]; findings: unknown[] }
    assert.deepEqual([json.works, json.endpoints.length, json.findings], [true, 3, []])
    assert.match((await explain('svc/service-nodeport')).stderr, /explain takes "service NAME"/)
    const elsewhere = await execute([join(import.meta.dirname, '../../fairway'), 'explain', 'svc/service-nodeport', '-n', 'dev', '-o', 'yaml', '--kubeconfig', cluster.kubeconfig])
    assert.equal(elsewhere.code, 0, elsewhere.stderr)
    assert.match(elsewhere.stdout, /^notLookedAt:\n +- .?whether the pods' programs listen/m)
  })

  test('a name that is not there: which are, and where', async () => {
    assert.match((await explain('service-nodeport')).stderr, /no Service "service-nodeport" in namespace default, but there is one in dev: add -n dev/)
    assert.match((await explain('kubernets')).stderr, /did you mean "kubernetes"\?/)
  })

  test('d01: no pod has the label, two have the near miss; the printed command mends it', async () => {
    await createFile('d01-microservice-one')
    await cluster.readyPods('app=microservice-on', 2)
    const text = await page('microservice-one-service', 1, /No pod in namespace default has app=microservice-one,/, /Two pods have the near miss app=microservice-on: microservice-one-\S+ and microservice-one-/)
    await follow(text)
    await page('microservice-one-service', 0, /works\. Two endpoints answer for it\./)
  })

  test('d04: nothing listens on the port that a missing targetPort means; the printed command mends it', async () => {
    await createFile('d04-nodeport')
    await kubectl('set', 'selector', 'service', 'ms-service-nodeport', 'app=microservice-on')
    const text = await page('ms-service-nodeport', 1, /In two pods \(\S+ and \S+\) nothing listens on TCP port 3200: connections are refused\./, /targetPort is 3200, the same as port/, /They listen on 3000/)
    await follow(text)
    await page('ms-service-nodeport', 0, /works\. Two endpoints/)
    assert.equal(await eventually(() => cluster.curl('client', 'http://192.168.109.101:30008/echo?msg=hello')), 'hello')
  })

  test('a01 with the tag as printed in its source: the image cannot be pulled', async () => {
    const text = (await kubectl('create', '-f', manifest('a01-service-with-selector'), '--dry-run=client', '-o', 'yaml')).stdout.replace('nginx:1.14.2', 'nginx:11.14.2')
    await create(text)
    const broken = await page('nginx-service', 1, /Pod nginx does not run: container nginx cannot pull its image nginx:11\.14\.2: (ErrImagePull|ImagePullBackOff) \(for \d+s\)/, /Failed to pull image "nginx:11\.14\.2".*not found/)
    await follow(broken, command => command.replace('TAG', '1.14.2'))
    await page('nginx-service', 0, /works\. One endpoint answers/)
  })

  test('a02 without Endpoints: nobody has given it any; with an address where nothing listens: that', async () => {
    await create('apiVersion: v1\nkind: Service\nmetadata: {name: my-service}\nspec: {ports: [{port: 80, targetPort: 9376}]}\n')
    const text = await page('my-service', 1, /The Service has no selector, and nobody has given it endpoints\./)
    await follow(text, command => command.replace('ADDRESS', '192.168.109.200'))
    await page('my-service', 1, /At 192\.168\.109\.200 nothing listens on TCP port 9376/)
  })

  test('a program that listens on 127.0.0.1, and one with UDP', async () => {
    await create(podAndService('lonely', { command: ['python3', '-m', 'http.server', '--bind', '127.0.0.1', '8080'] }, [{ port: 80, targetPort: 8080 }]))
    await create(podAndService('echo', { args: ['netexec', '--http-port=8080', '--udp-port=8081'] }, [{ name: 'http', port: 80, targetPort: 8080 }, { name: 'udp', port: 81, protocol: 'UDP', targetPort: 8082 }]))
    await page('lonely', 1, /In pod lonely the program listens on 127\.0\.0\.1 only, port 8080/, /yes, from every node; but port 8080 is open on 127\.0\.0\.1 only/)
    const text = await page('echo', 1, /In pod echo nothing listens on UDP port 8082: packets are refused/, /It listens on 8081\./)
    await follow(text)
    await page('echo', 0, /10\.244\.\d+\.\d+:8080,8081 +yes, from every node/)
  })

  test('a readiness probe that fails: which, why and since when', async () => {
    await create(podAndService('sick', { args: ['netexec'], readinessProbe: { httpGet: { port: 8080, path: '/redirect?code=500&location=x' }, periodSeconds: 1, failureThreshold: 1 } }, [{ port: 80, targetPort: 8080 }]))
    await page('sick', 1, /Pod sick is not ready: the readiness probe of container main \(GET :8080\/redirect\?code=500&location=x\) does not succeed \(for \d+s\)\./, /Readiness probe failed: HTTP probe failed with statuscode: 500/)
  })

  test('an ExternalName that is an IP; a load balancer that nobody provides', async () => {
    await create('apiVersion: v1\nkind: Service\nmetadata: {name: fixed}\nspec: {type: ExternalName, externalName: 192.0.2.1}\n')
    const text = await page('fixed', 1, /externalName is the IP address 192\.0\.2\.1: no DNS name leads to it\./)
    await follow(text)
    assert.match((await explain('fixed')).stdout, /^  - +- +192\.0\.2\.1:80 +yes, from every node$/m)
    await kubectl('expose', 'pod', 'echo', '--name=balanced', '--type=LoadBalancer', '--port=80', '--target-port=8080')
    await page('balanced', 1, /EXTERNAL-IP is <pending>: nothing has given the Service an address\./, /its node port works from outside: 192\.168\.109\.100:\d+\./)
  })

  test('without kube-proxy on a node, the page says on which', async () => {
    const affinity = (value: object | null) => JSON.stringify({ spec: { template: { spec: { affinity: value } } } })
    await kubectl('-n', 'kube-system', 'patch', 'daemonset', 'kube-proxy', '-p', affinity({ nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [
      { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'NotIn', values: ['k8s-node02'] }] }] } } }))
    await page('microservice-one-service', 1, /No kube-proxy runs on k8s-node02\./, /yes, from k8s-master01 and k8s-node01; not from k8s-node02: no kube-proxy there/)
    await kubectl('-n', 'kube-system', 'patch', 'daemonset', 'kube-proxy', '-p', affinity(null))
    await cluster.kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset', 'kube-proxy', '--timeout=100s'], { timeoutMs: 110_000 })
    await page('microservice-one-service', 0)
  })
})

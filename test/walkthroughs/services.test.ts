// The walk-throughs of people who learn Services, command by command with the real kubectl of two
// versions, on one cluster: each case makes what it needs and removes it again.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { eventually, kubectlVersions, manifest, startCluster, type TestCluster } from '../cluster.ts'

let cluster: TestCluster
before(async () => { cluster = await startCluster() }, { timeout: 120_000 })
after(async () => { await cluster?.remove() })

const nodes = ['k8s-master01', 'k8s-node01', 'k8s-node02']
const nodeIp: Record<string, string> = { 'k8s-master01': '192.168.109.100', 'k8s-node01': '192.168.109.101', 'k8s-node02': '192.168.109.102' }

for (const version of kubectlVersions) suite(`with kubectl ${version}`, () => {
  const kubectl = (args: string[], options: { input?: string; fails?: boolean } = {}) => cluster.kubectl(args, { ...options, version })
  const lines = async (args: string[]) => (await kubectl(args)).stdout.trimEnd().split('\n')
  const clusterIp = (service: string, namespace = 'default') => cluster.jsonpath(['service', service, '-n', namespace], '{.spec.clusterIP}')

  test('a01: a Service finds its pods by label and their port by name', async () => {
    await kubectl(['create', '-f', manifest('a01-service-with-selector')])
    await cluster.readyPods('app.kubernetes.io/name=proxy', 1)
    const ip = await clusterIp('nginx-service')
    for (const node of nodes) assert.match(await eventually(() => cluster.curl(node, `http://${ip}/`)), /Welcome to nginx!/)
    await kubectl(['run', 'caller', '--image=busybox', '--', 'sleep', '3600'])
    await cluster.readyPods('run=caller', 1)
    const fromPod = await kubectl(['exec', 'caller', '--', 'wget', '-qO-', `http://${ip}/`])
    assert.match(fromPod.stdout, /Welcome to nginx!/)
    await kubectl(['delete', '-f', manifest('a01-service-with-selector'), '--now'])
    await kubectl(['delete', 'pod', 'caller', '--now'])
  })

  test('a01 as printed: an image tag that does not exist is ErrImagePull, and the Service has no ready endpoint', async () => {
    const text = (await kubectl(['create', '-f', manifest('a01-service-with-selector'), '--dry-run=client', '-o', 'yaml'])).stdout.replace('nginx:1.14.2', 'nginx:11.14.2')
    await kubectl(['create', '-f', '-'], { input: text })
    await eventually(async () => {
      const reason = await cluster.jsonpath(['pod', 'nginx'], '{.status.containerStatuses[0].state.waiting.reason}')
      assert.match(reason, /^(ErrImagePull|ImagePullBackOff)$/)
    })
    assert.match((await lines(['get', 'pod', 'nginx']))[1]!, /^nginx +0\/1 +(ErrImagePull|ImagePullBackOff) +0 +\d+s$/)
    assert.match((await kubectl(['describe', 'pod', 'nginx'])).stdout, /Failed to pull image "nginx:11\.14\.2".*not found/)
    assert.equal(await cluster.jsonpath(['endpointslices', '-l', 'kubernetes.io/service-name=nginx-service'], '{.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}'), '')
    await kubectl(['delete', 'pod/nginx', 'service/nginx-service', '--now'])
  })

  test('a03: two ports balance each; an unnamed one among several is refused', async () => {
    await kubectl(['create', '-f', '-'], { input: twoPortDeployment })
    await kubectl(['create', '-f', manifest('a03-multi-port')])
    const pods = await cluster.readyPods('app=MyApp', 2)
    const ip = await clusterIp('my-service')
    for (const port of [80, 443]) {
      const answers = await eventually(async () => {
        const seen = new Set(await cluster.curls('k8s-node01', `http://${ip}:${port}/hostname`, 30))
        assert.deepEqual([...seen].sort(), pods.map(pod => pod.name).sort())
        return seen
      })
      assert.equal(answers.size, 2)
    }
    const unnamed = `apiVersion: v1\nkind: Service\nmetadata: {name: unnamed}\nspec:\n  ports: [{name: http, port: 80}, {port: 443}]\n`
    const refused = await kubectl(['create', '-f', '-'], { input: unnamed, fails: true })
    assert.match(refused.stderr, /The Service "unnamed" is invalid: spec\.ports\[1\]\.name: Required value/)
    await kubectl(['delete', 'deployment/my-app', 'service/my-service'])
    await gone('app=MyApp')
  })

  test('a04: a NodePort answers on every node, and is given out once', async () => {
    await kubectl(['create', '-f', '-'], { input: oneNginx })
    await kubectl(['create', '-f', manifest('a04-nodeport')])
    const [pod] = await cluster.readyPods('app=MyApp', 1)
    for (const node of nodes) assert.match(await eventually(() => cluster.curl('client', `http://${nodeIp[node]}:30007/`)), /Welcome to nginx!/, `${node}, the pod is on ${pod!.node}`)
    assert.match(await cluster.curl('k8s-node02', `http://${await clusterIp('my-service')}/`), /Welcome to nginx!/)
    const second = `apiVersion: v1\nkind: Service\nmetadata: {name: second}\nspec:\n  type: NodePort\n  ports: [{port: 80, nodePort: 30007}]\n`
    const refused = await kubectl(['create', '-f', '-'], { input: second, fails: true })
    assert.match(refused.stderr, /The Service "second" is invalid: spec\.ports\[0\]\.nodePort: Invalid value: 30007: provided port is already allocated/)
    await kubectl(['delete', 'deployment/my-app', 'service/my-service'])
    await gone('app=MyApp')
  })

  test('a09: expose; the environment of a pod has the Services that were there before it', async () => {
    await kubectl(['apply', '-f', manifest('a09-run-my-nginx')])
    const [early] = await cluster.readyPods('run=my-nginx', 2)
    assert.equal((await kubectl(['expose', 'deployment/my-nginx'])).stdout, 'service/my-nginx exposed\n')
    assert.match((await lines(['get', 'svc', 'my-nginx'])).join('\n'), /^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE\nmy-nginx +ClusterIP +10\.\d+\.\d+\.\d+ +<none> +80\/TCP +\d+s$/)
    const environment = async (pod: string) => (await kubectl(['exec', pod, '--', 'printenv'])).stdout
    const before = await environment(early!.name)
    assert.match(before, /^KUBERNETES_SERVICE_HOST=10\.96\.0\.1$/m)
    assert.doesNotMatch(before, /MY_NGINX/)
    await kubectl(['scale', 'deployment', 'my-nginx', '--replicas=0'])
    await gone('run=my-nginx')
    await kubectl(['scale', 'deployment', 'my-nginx', '--replicas=2'])
    const [late] = await cluster.readyPods('run=my-nginx', 2)
    const after = await environment(late!.name)
    assert.match(after, new RegExp(`^MY_NGINX_SERVICE_HOST=${await clusterIp('my-nginx')}$`, 'm'))
    assert.match(after, /^MY_NGINX_SERVICE_PORT=80$/m)
    assert.match(after, /^KUBERNETES_SERVICE_HOST=10\.96\.0\.1$/m)
    await kubectl(['delete', 'deployment/my-nginx', 'service/my-nginx'])
    await gone('run=my-nginx')
  })

  test('b01, b02, b04: the walk-through of Deployment, ClusterIP and NodePort in namespace dev', async () => {
    assert.equal((await kubectl(['create', 'ns', 'dev'])).stdout, 'namespace/dev created\n')
    assert.equal((await kubectl(['create', '-f', manifest('b01-deployment')])).stdout, 'deployment.apps/pc-deployment created\n')
    const pods = await cluster.readyPods('app=nginx-pod', 3, 'dev')
    await showsPods()
    for (const pod of pods) {
      await kubectl(['exec', pod.name, '-n', 'dev', '--', '/bin/sh', '-c', `echo "${pod.ip}" > /usr/share/nginx/html/index.html`])
      assert.equal(await eventually(() => cluster.curl('k8s-master01', pod.ip)), `${pod.ip}\n`)
    }
    const ips = pods.map(pod => pod.ip).sort()
    assert.equal((await kubectl(['create', '-f', manifest('b02-service-clusterip')])).stdout, 'service/service-clusterip created\n')
    const ip = await clusterIp('service-clusterip', 'dev')
    assert.match((await lines(['get', 'svc', '-n', 'dev', '-o', 'wide'])).join('\n'),
      /^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE +SELECTOR\nservice-clusterip +ClusterIP +10\.\d+\.\d+\.\d+ +<none> +80\/TCP +\d+s +app=nginx-pod$/)
    await describesService(ip, ips)
    assert.deepEqual([...new Set(await cluster.curls('k8s-master01', ip, 30))].sort(), ips)
    assert.match((await kubectl(['get', 'endpoints', '-n', 'dev'])).stdout, new RegExp(`service-clusterip +${pods.map(pod => `${pod.ip}:80`).sort(byNumber).join(',').replaceAll('.', '\\.')} `))
    assert.notEqual((await cluster.shell('k8s-master01', ['ping', '-c1', '-W1', ip])).code, 0, 'a ClusterIP answers no ping in iptables mode')
    await kubectl(['delete', '-f', manifest('b02-service-clusterip')])
    assert.equal((await kubectl(['create', '-f', manifest('b04-service-nodeport')])).stdout, 'service/service-nodeport created\n')
    assert.match((await lines(['get', 'svc', '-n', 'dev', '-o', 'wide']))[1]!, /^service-nodeport +NodePort +10\.\S+ +<none> +80:30003\/TCP +\d+s +app=nginx-pod$/)
    for (const node of nodes) assert.ok(ips.includes((await eventually(() => cluster.curl('client', `${nodeIp[node]}:30003`))).trim()), node)
    assert.equal((await kubectl(['delete', 'ns', 'dev'])).stdout, 'namespace "dev" deleted\n')

    async function showsPods(): Promise<void> {
      const [header, ...rows] = await lines(['get', 'pods', '-n', 'dev', '-o', 'wide', '--show-labels'])
      assert.match(header!, /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES +LABELS$/)
      for (const row of rows) assert.match(row, /^pc-deployment-[a-z0-9]+-[a-z0-9]{5} +1\/1 +Running +0 +\d+s +10\.244\.[12]\.\d+ +k8s-node0[12] +<none> +<none> +app=nginx-pod,pod-template-hash=[a-z0-9]+$/)
      assert.deepEqual([...new Set(pods.map(pod => pod.node))].sort(), ['k8s-node01', 'k8s-node02'], 'spread over the workers')
    }
    async function describesService(address: string, endpoints: string[]): Promise<void> {
      const text = (await kubectl(['describe', 'svc', 'service-clusterip', '-n', 'dev'])).stdout
      for (const [label, value] of [['Name', 'service-clusterip'], ['Namespace', 'dev'], ['Selector', 'app=nginx-pod'], ['Type', 'ClusterIP'], ['IP Family Policy', 'SingleStack'],
        ['IP Families', 'IPv4'], ['IP', address], ['IPs', address], ['Port', '<unset>  80/TCP'], ['TargetPort', '80/TCP'], ['Session Affinity', 'None'], ['Events', '<none>']] as const) {
        assert.match(text, new RegExp(`^${label}: +${value.replaceAll('.', '\\.')}$`, 'm'))
      }
      const shown = /^Endpoints: +(.*)$/m.exec(text)![1]!.split(',').sort()
      assert.deepEqual(shown, endpoints.map(endpoint => `${endpoint}:80`).sort())
    }
  })

  test('c01: the rules are kube-proxy\'s, and all three pods answer', async () => {
    await kubectl(['create', '-f', manifest('c01-hostnames')])
    const pods = await cluster.readyPods('app=hostnames', 3)
    const ip = await clusterIp('hostnames')
    const rules = await eventually(async () => {
      const { stdout } = await cluster.shell('k8s-node01', ['iptables-save', '-t', 'nat'])
      assert.equal(stdout.match(/-A KUBE-SVC-ODX2UBAZM7RQWOIU .*-j KUBE-SEP-/g)?.length, 3)
      return stdout
    })
    assert.match(rules, new RegExp(`-A KUBE-SERVICES -d ${ip}/32 -p tcp -m comment --comment "default/hostnames:default cluster IP" -m tcp --dport 80 -j KUBE-SVC-ODX2UBAZM7RQWOIU`))
    assert.match(rules, /-A KUBE-SVC-ODX2UBAZM7RQWOIU .*-m statistic --mode random --probability 0\.33333333\d+ -j KUBE-SEP-/)
    assert.match(rules, /-A KUBE-SVC-ODX2UBAZM7RQWOIU .*-m statistic --mode random --probability 0\.50000000000 -j KUBE-SEP-/)
    assert.match(rules, /-A KUBE-SVC-ODX2UBAZM7RQWOIU -m comment --comment "[^"]*" -j KUBE-SEP-/)
    for (const pod of pods) assert.match(rules, new RegExp(`-A KUBE-SEP-[A-Z0-9]{16} .*-j DNAT --to-destination ${pod.ip}:9376`))
    assert.deepEqual([...new Set(await cluster.curls('k8s-node02', ip, 30))].sort(), pods.map(pod => pod.name).sort())
    await kubectl(['delete', '-f', manifest('c01-hostnames')])
    await gone('app=hostnames')
  })

  test('c03: node ports out of range are refused one after the other, then the port that is missing', async () => {
    const text = readFileSync(manifest('c03-nodeport-out-of-range.invalid'), 'utf8')
    const refusal = async (input: string) => (await kubectl(['create', '-f', '-'], { input, fails: true })).stderr
    const range = 'provided port is not in the valid range. The range of valid ports is 30000-32767'
    // Allocation comes before validation, and stops at the first port.
    assert.equal(await refusal(text), `The Service "my-nginx" is invalid: spec.ports[0].nodePort: Invalid value: 8080: ${range}\n`)
    const corrected = text.replace('nodePort: 8080', 'nodePort: 30080')
    assert.equal(await refusal(corrected), `The Service "my-nginx" is invalid: spec.ports[1].nodePort: Invalid value: 443: ${range}\n`)
    const inRange = corrected.replace('nodePort: 443', 'nodePort: 30443')
    assert.match(await refusal(inRange), /spec\.ports\[0\]\.port: Invalid value: 0: must be between 1 and 65535, inclusive/)
    await kubectl(['create', '-f', '-'], { input: inRange.replace('nodePort: 30080', 'port: 80\n    nodePort: 30080').replace('nodePort: 30443', 'port: 443\n    nodePort: 30443') })
    await kubectl(['delete', 'service', 'my-nginx'])
  })

  test('d01: the Service of the mistaken label has no endpoints; with the label mended traffic flows', async () => {
    await kubectl(['create', '-f', manifest('d01-microservice-one')])
    const [pod] = await cluster.readyPods('app=microservice-on', 2)
    assert.match((await kubectl(['get', 'endpoints', 'microservice-one-service'])).stdout, /microservice-one-service +<none> +\d+s/)
    const ip = await clusterIp('microservice-one-service')
    assert.notEqual((await cluster.shell('k8s-node01', ['curl', '-s', '--max-time', '3', `http://${ip}:3200/`])).code, 0)
    await kubectl(['label', 'pod', pod!.name, 'app=microservice-one', '--overwrite'])
    assert.equal(await eventually(() => cluster.curl('k8s-node01', `http://${ip}:3200/hostname`)), pod!.name)
    await kubectl(['delete', 'deployment/microservice-one', 'service/microservice-one-service', `pod/${pod!.name}`])
    await gone('app=microservice-on')
  })

  const gone = (selector: string) => eventually(async () => {
    assert.equal((await kubectl(['get', 'pods', '-l', selector, '-o', 'name'])).stdout, '')
  })
})

const byNumber = (a: string, b: string) => a.split(/[.:]/).map(Number).reduce((order, part, i) => order || part - Number(b.split(/[.:]/)[i]), 0)

const twoPortDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: my-app}
spec:
  replicas: 2
  selector: {matchLabels: {app: MyApp}}
  template:
    metadata: {labels: {app: MyApp}}
    spec:
      containers:
      - {name: http, image: registry.k8s.io/e2e-test-images/agnhost:2.40, args: [netexec, --http-port=9376, --udp-port=-1]}
      - {name: https, image: registry.k8s.io/e2e-test-images/agnhost:2.40, args: [netexec, --http-port=9377, --udp-port=-1]}
`
const oneNginx = `apiVersion: apps/v1
kind: Deployment
metadata: {name: my-app}
spec:
  selector: {matchLabels: {app: MyApp}}
  template:
    metadata: {labels: {app: MyApp}}
    spec:
      containers: [{name: nginx, image: nginx, ports: [{containerPort: 80}]}]
`

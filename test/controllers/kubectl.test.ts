// The real kubectl's rollout commands and scale against the real controllers: what they print is
// computed from conditions, revisions and annotations that the controllers write.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { ensurePki } from '#apiserver/pki/apply.ts'
import { kubectlProgram } from '../cluster.ts'
import { hollowCluster, type Hollow } from './hollow.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairway-rollout-')), kubeconfig = join(folder, 'kubeconfig')
let cluster: Hollow, program: string
before(async () => {
  const pki = await ensurePki(folder, { serviceIp: '10.96.0.1', advertiseAddress: '127.0.0.1', nodeNames: [] })
  cluster = await hollowCluster({ pki })
  const { port } = await cluster.server.listen({ host: '127.0.0.1', port: 0 })
  const data = (pem: string) => Buffer.from(pem).toString('base64')
  writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', 'current-context': 'c', contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': data(pki.ca) } }],
    users: [{ name: 'u', user: { 'client-certificate-data': data(pki.admin.cert), 'client-key-data': data(pki.admin.key) } }] }))
  writeFileSync(join(folder, 'ds.yaml'), JSON.stringify({ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'agent' },
    spec: { selector: { matchLabels: { app: 'agent' } }, template: { metadata: { labels: { app: 'agent' } }, spec: { containers: [{ name: 'c', image: 'agent:1' }] } } } }))
  writeFileSync(join(folder, 'sts.yaml'), JSON.stringify({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'db' },
    spec: { replicas: 3, serviceName: 'db', selector: { matchLabels: { app: 'db' } }, template: { metadata: { labels: { app: 'db' } }, spec: { containers: [{ name: 'c', image: 'db:1' }] } } } }))
  program = await kubectlProgram('1.36')
})
after(async () => { await cluster.stop(); rmSync(folder, { recursive: true }) })

async function kubectl(args: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [...args.split(' '), `--kubeconfig=${kubeconfig}`, `--cache-dir=${folder}/cache`], { timeout: 20_000 })
  return stdout.trim()
}

const steps: [args: string, printed: RegExp][] = [
  ['create deployment web --image=nginx:1 --replicas=3', /^deployment.apps\/web created$/],
  ['rollout status deployment/web --timeout=10s', /deployment "web" successfully rolled out$/],
  ['set image deployment/web nginx=nginx:2', /^deployment.apps\/web image updated$/],
  ['rollout status deployment/web --timeout=10s', /deployment "web" successfully rolled out$/],
  ['rollout history deployment/web', /REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>$/],
  ['rollout history deployment/web --revision=2', /Image:\s+nginx:2/],
  ['rollout undo deployment/web', /^deployment.apps\/web rolled back$/],
  ['rollout status deployment/web --timeout=10s', /deployment "web" successfully rolled out$/],
  ['get deployment web -o jsonpath={.spec.template.spec.containers[0].image}', /^nginx:1$/],
  ['rollout history deployment/web', /\n2 +<none>\n3 +<none>$/],
  ['rollout restart deployment/web', /^deployment.apps\/web restarted$/],
  ['rollout status deployment/web --timeout=10s', /deployment "web" successfully rolled out$/],
  ['rollout pause deployment/web', /paused$/],
  ['scale deployment/web --replicas=5', /scaled$/],
  ['rollout resume deployment/web', /resumed$/],
  ['rollout status deployment/web --timeout=10s', /deployment "web" successfully rolled out$/],
  ['get deployment web', /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +5\/5 +5 +5 +\d+s$/],
  ['wait deployment/web --for=condition=Available --timeout=5s', /condition met$/],
  ['wait pods -l app=web --for=condition=Ready --timeout=5s', /condition met$/],
  ['describe deployment web', /Normal +ScalingReplicaSet +\S+( \(x\d+ over \d+s\))? +deployment-controller +Scaled up replica set web-\w+ from 0 to 3/],
  ['expose deployment web --port=80', /^service\/web exposed$/],
  ['describe service web', /Endpoints: +10\.244\.\d+\.\d+:80,10\.244\.\d+\.\d+:80,10\.244\.\d+\.\d+:80 \+ 2 more\.\.\./],
  ['create namespace dev', /created$/],
  ['create deployment other --image=nginx -n dev', /created$/],
  ['delete namespace dev', /^namespace "dev" deleted/],
  ['delete deployment web', /^deployment.apps "web" deleted/],
  ['wait pods -l app=web --for=delete --timeout=5s', /^$|condition met$/],
  [`create -f ${folder}/ds.yaml`, /^daemonset.apps\/agent created$/],
  ['rollout status daemonset/agent --timeout=10s', /daemon set "agent" successfully rolled out$/],
  ['set image daemonset/agent c=agent:2', /image updated$/],
  ['rollout status daemonset/agent --timeout=10s', /daemon set "agent" successfully rolled out$/],
  ['rollout history daemonset/agent', /\n1 +<none>\n2 +<none>$/],
  ['rollout undo daemonset/agent', /rolled back$/],
  ['rollout status daemonset/agent --timeout=10s', /daemon set "agent" successfully rolled out$/],
  ['get pods -l app=agent -o jsonpath={.items[*].spec.containers[0].image}', /^agent:1 agent:1$/],
  ['rollout history daemonset/agent', /\n2 +<none>\n3 +<none>$/],
  ['delete daemonset agent', /deleted/],
  ['wait pods -l app=agent --for=delete --timeout=5s', /^$|condition met$/],
  [`create -f ${folder}/sts.yaml`, /^statefulset.apps\/db created$/],
  ['rollout status statefulset/db --timeout=10s', /partitioned roll out complete: 3 new pods have been updated\.\.\.$/],
  ['get sts', /^NAME +READY +AGE\ndb +3\/3 +\d+s$/],
  ['get sts -o wide', /^NAME +READY +AGE +CONTAINERS +IMAGES\ndb +3\/3 +\d+s +c +db:1$/],
  ['set image statefulset/db c=db:2', /image updated$/],
  ['rollout status statefulset/db --timeout=10s', /partitioned roll out complete: 3 new pods/],
  ['rollout history statefulset/db', /\n1 +<none>\n2 +<none>$/],
  ['rollout history statefulset/db --revision=2', /Image:\s+db:2/],
  ['rollout undo statefulset/db', /rolled back$/],
  ['rollout status statefulset/db --timeout=10s', /partitioned roll out complete: 3 new pods/],
  ['get pods -l app=db -o jsonpath={.items[*].spec.containers[0].image}', /^db:1 db:1 db:1$/],
  ['rollout restart statefulset/db', /restarted$/],
  ['rollout status statefulset/db --timeout=10s', /partitioned roll out complete: 3 new pods/],
  ['scale statefulset/db --replicas=1', /scaled$/],
  ['wait pod/db-1 --for=delete --timeout=5s', /^$|condition met$/],
  ['describe statefulset db', /Update Strategy: +RollingUpdate\n +Partition: +0\n[^]*Normal +SuccessfulDelete +\S+( \(x\d+ over \d+s\))? +statefulset-controller +delete Pod db-2 in StatefulSet db successful/],
  ['explain statefulset.spec.serviceName', /The headless Service that gives the pods their DNS names/],
  ['delete statefulset db', /deleted/],
  ['wait pods -l app=db --for=delete --timeout=5s', /^$|condition met$/],
  ['cordon k8s-node01', /cordoned$/],
  ['describe node k8s-node01', /Taints: +node.kubernetes.io\/unschedulable:NoSchedule/],
  ['uncordon k8s-node01', /uncordoned$/],
  ['get all', /^NAME[^\n]*\nservice\/kubernetes [^\n]*\nservice\/web [^\n]*$/],
]
test('kubectl sees rollouts as it does in any cluster', async () => {
  for (const [args, printed] of steps) assert.match(await kubectl(args), printed, `kubectl ${args}`)
})

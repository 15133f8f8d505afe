// Each built-in image run for real: mounted as the runtime mounts it, in namespaces of its own, as
// root and in a user namespace with one user.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const fairwayRoot = join(import.meta.dirname, '../../../..')

/** Arguments: layer, `host:container` binds, `--`, command. */
const mountAndRun = `set -e
mount --make-rprivate /; mount -t tmpfs t /mnt; mkdir /mnt/m /mnt/u /mnt/w /mnt/uu /mnt/uw
layer=$1; shift; [ -d $layer/usr ]
[ "$(awk '{print $3; exit}' /proc/self/uid_map)" -gt 1 ] || extra=,userxattr
mount -t overlay o /mnt/m -o lowerdir=$layer,upperdir=/mnt/u,workdir=/mnt/w$extra
mount -t overlay o /mnt/m/usr -o lowerdir=$layer/usr:/usr,upperdir=/mnt/uu,workdir=/mnt/uw$extra
while [ "$1" != -- ]; do mount --bind "\${1%%:*}" "/mnt/m\${1##*:}"; shift; done; shift
ip link set lo up; hostname pod-1
mount -t tmpfs d /mnt/m/dev; for d in null zero random urandom; do : > /mnt/m/dev/$d; mount --bind /dev/$d /mnt/m/dev/$d; done
ln -s /proc/self/fd /mnt/m/dev/fd; ln -s /proc/self/fd/1 /mnt/m/dev/stdout; ln -s /proc/self/fd/2 /mnt/m/dev/stderr
exec unshare --pid --fork --kill-child --mount-proc=/proc -R /mnt/m "$@"`

/** Prints how to mount an image: in the namespace in which it will be used, since the layer depends on it. */
const prepare = `import { openImages } from '#kubelet/images/apply.ts'
import { silent } from '#lib/log.ts'
const [directory, fairwayRoot, name] = process.argv.slice(1)
const images = await openImages({ directory, log: silent, fairwayRoot, nodePath: process.execPath })
const image = await images.pullImage(name, [])
console.log(JSON.stringify(await images.rootfs(image.id)))
process.exit(0)`

let scratch = ''
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'builtin-'))
  await writeFile(join(scratch, 'inner.sh'), mountAndRun)
})
after(() => rm(scratch, { recursive: true, force: true }))

/** What was printed by the image's command, or by `command` in its place, and by `beside`, which runs next to it. */
async function inImage(name: string, beside: string, user: boolean, command?: string[]): Promise<string> {
  const store = join(scratch, user ? 'user' : 'root')
  const asUser = user ? ['--user', '--map-root-user'] : ['--mount']
  const script = prepare.replaceAll("'#", `'${fairwayRoot}/src/`)
  const { stdout } = await run('unshare', [...asUser, process.execPath, '--input-type=module', '-e', script, '--', store, fairwayRoot, name])
  const { lowerDirs, binds, config } = JSON.parse(stdout)
  // Through cat, because Node's own pipes are sockets, and nobody can open /dev/stdout on a socket.
  const own = command ?? [...config.entrypoint, ...config.cmd]
  const result = await run('unshare', [...asUser, '--mount', '--net', '--uts', '--ipc', '--pid', '--fork', '--kill-child', 'sh', '-c', 'sh "$0" "$@" 2>&1 | cat', join(scratch, 'inner.sh'), lowerDirs[0],
    ...binds.map((bind: { hostPath: string; containerPath: string }) => `${bind.hostPath}:${bind.containerPath}`), '--',
    'env', '-i', ...config.env, 'sh', '-c', `( ${beside} ) & exec "$@"`, 'sh', ...own], { timeout: 20_000 }).catch((error: { stdout: string; stderr: string; code?: number }) => error)
  return result.stdout + result.stderr
}

const untilPort = (port: number) => `for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:${port}/ && break; sleep 0.05; done`

const cases: [image: string, beside: string, expected: RegExp[]][] = [
  ['nginx:1.17.2', `${untilPort(80)}; curl -s http://[::1]/ | grep title; echo own > /usr/share/nginx/html/index.html; curl -s http://127.0.0.1/; kill -QUIT 1`, [/<title>Welcome to nginx!<\/title>/, /^own$/m, /"GET \/ HTTP\/1\.1" 200/]],
  ['tomcat:8.5-jre10-slim', `${untilPort(8080)}; curl -s http://127.0.0.1:8080/; kill 1`, [/<title>Apache Tomcat\/8\.5<\/title>/]],
  ['k8s.gcr.io/serve_hostname', `${untilPort(9376)}; echo "[$(curl -s http://127.0.0.1:9376/a/b)]"; kill 1`, [/^\[pod-1\]$/m, /HTTP request from 127\.0\.0\.1:\d+/]],
  ['registry.k8s.io/pause:3.9', 'sleep 0.2; ls /proc | grep -c "^[0-9]"; kill -TERM 1', [/^[45]$/m]],
]
for (const user of process.geteuid!() === 0 ? [false, true] : [true]) {
  for (const [image, beside, expected] of cases) {
    test(`${image}${user ? ' as an ordinary user' : ''}`, async () => {
      const printed = await inImage(image, beside, user)
      for (const pattern of expected) assert.match(printed, pattern)
    })
  }

  test(`busybox and alpine bring their applets, and nothing of the machine but /usr${user ? ' as an ordinary user' : ''}`, async () => {
    const printed = await inImage('busybox:1.28', 'true', user, ['sh', '-c', 'readlink /bin/ls; readlink /sbin/ip; ls /home /root /etc/passwd; wget --help; nslookup --help; echo done'])
    assert.match(printed, /^busybox\n.*busybox\n\/etc\/passwd\n\n\/home:\n\n\/root:\n/)
    assert.match(printed, /BusyBox v[\s\S]*Usage: wget[\s\S]*Usage: nslookup[\s\S]*done/)
    assert.match(await inImage('alpine:3.18', 'true', user, ['/bin/sh', '-c', 'cat /etc/alpine-release; apk add x']), /^3\.18\napk: this is Fairway's stand-in/)
  })

  test(`agnhost runs Fairway's programs from the read-only tree${user ? ' as an ordinary user' : ''}`, async () => {
    const printed = await inImage('registry.k8s.io/e2e-test-images/agnhost:2.40', `${untilPort(8080)}; echo "[$(curl -s http://127.0.0.1:8080/hostname)]"; echo "[$(curl -s 'http://127.0.0.1:8080/dial?host=127.0.0.1&port=8081&protocol=udp&request=hostname')]"; touch /opt/fairway/src/x 2>&1; kill 1`, user, ['/agnhost', 'netexec'])
    assert.match(printed, /^\[pod-1\]$/m)
    assert.match(printed, /^\[\{"responses":\["pod-1"\]\}\]$/m)
    assert.match(await inImage('registry.k8s.io/e2e-test-images/agnhost:2.40', 'true', user, ['/agnhost', 'help']), /usage: agnhost/)
  })
}

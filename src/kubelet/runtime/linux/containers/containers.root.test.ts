// What a container is, sees and may do, in namespaces of this test's own.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isolated } from '#host/isolated.ts'
import { Machine } from '../testing/apply.ts'
import type { Security } from '../testing/apply.ts'

isolated(import.meta.url, ['root', 'user'], way => {
  const machine = new Machine(way)
  before(() => machine.start())
  after(() => machine.stop())
  const rootOnly = { skip: way === 'user' && 'one uid, no control groups' }

  test('a container sees its pod, its image and nothing of the machine', async () => {
    const pod = await machine.pod({ env: [['OWN', 'mine']] })
    const name = pod.box.config.hostname
    assert.equal(await pod.sh('hostname; cat /etc/hostname /etc/resolv.conf /etc/hosts'), `${name}\n${name}\nnameserver 10.96.0.10\n127.0.0.1 localhost\n${pod.ip} ${name}\n`)
    assert.equal(await pod.sh('echo $IMAGE $OWN $HOME $HOSTNAME; pwd; env | grep -c FAIRWAY'), `yes mine /root ${name}\n/\n0\nexit 1\n`)
    assert.equal(await pod.sh('ls /; ls /dev; ls -A /run'), 'bin\ndata\ndev\netc\nlib\nlib64\nproc\nroot\nrun\nsbin\nsys\ntmp\nusr\nvar\n'
      + 'core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n')
    assert.match(await pod.sh('cat /proc/1/comm; ls /proc | grep -c "^[0-9]"; ls /proc/self/fd | tr "\\n" " "'), /^sleep\n[34]\n0 1 2 3 $/)
    assert.equal(await pod.sh('grep -c -v " /\\(proc\\|sys\\|dev\\|etc\\|usr\\)\\?\\(/\\S*\\)\\? " /proc/mounts'), '0\nexit 1\n')
  })

  test('what a container writes stays in it, also over the files of /usr', async () => {
    const [a, b] = await Promise.all([machine.pod(), machine.pod()])
    await a.sh('echo changed > /usr/share/site/index.html; rm -r /var; echo x > /etc/new')
    assert.equal(await a.sh('cat /usr/share/site/index.html; ls -d /var'), 'changed\nls: cannot access \'/var\': No such file or directory\nexit 2\n')
    assert.equal(await b.sh('cat /usr/share/site/index.html; ls -d /var /etc/new 2>/dev/null'), 'welcome\n/var\nexit 2\n')
    assert.equal(readFileSync(join(machine.directory, 'layer/usr/share/site/index.html'), 'utf8'), 'welcome\n')
  })

  const ends: Record<string, { command: string[]; exitCode: number; reason: string; text?: RegExp }> = {
    'success': { command: ['true'], exitCode: 0, reason: 'Completed' },
    'an exit status': { command: ['sh', '-c', 'echo out; echo err >&2; exit 3'], exitCode: 3, reason: 'Error', text: /stdout F out\n[\s\S]*stderr F err\n|stderr F err\n[\s\S]*stdout F out\n/ },
    'a signal to itself': { command: ['sh', '-c', '(sleep 0.05; kill -9 $$) & perl -e "kill 9, $$"; sleep 1; exit 9'], exitCode: 9, reason: 'Error' },
    'output without a newline': { command: ['printf', 'partial'], exitCode: 0, reason: 'Completed', text: /^stdout P partial\n$/ },
  }
  for (const [name, { command, exitCode, reason, text }] of Object.entries(ends)) test(`a container ends with ${name}`, async () => {
    const end = await (await machine.pod({ command })).end()
    assert.equal(end.exitCode, exitCode)
    assert.equal(end.reason, reason)
    if (text) assert.match(end.text, text)
    assert.ok(end.startedAt! <= end.finishedAt!)
  })

  const refusals: Record<string, { wish: Parameters<typeof machine.pod>[0]; message: RegExp; exitCode: number }> = {
    'a command that is not there': { wish: { command: ['foo'] }, message: /unable to start container process: exec: "foo": executable file not found in \$PATH/, exitCode: 127 },
    'a path that is not there': { wish: { command: ['/no/foo'] }, message: /exec: "\/no\/foo": stat \/no\/foo: no such file or directory/, exitCode: 127 },
    'a file that is no program': { wish: { command: ['/etc/plain'] }, message: /exec: "\/etc\/plain": permission denied/, exitCode: 126 },
    ...(way === 'user' && { 'a user that does not exist here': { wish: { security: { runAsUser: 33 } }, message: /to run as user 33, but .* has only uid 0: run fairway as root/, exitCode: 128 } }),
    'a capability that does not exist': { wish: { security: { addCapabilities: ['FLY'] } }, message: /unknown capability "FLY"/, exitCode: 128 },
    'a volume that is not there': { wish: { mounts: [{ hostPath: '/no/such', containerPath: '/v', readonly: false }] }, message: /no such file or directory.*\/no\/such/, exitCode: 128 },
  }
  for (const [name, { wish, message, exitCode }] of Object.entries(refusals)) test(`refused: ${name}`, async () => {
    const runtime = machine.runtimes[0]!
    const box = await runtime.runPodSandbox(machine.sandboxConfig())
    const { id } = await runtime.createContainer(box.id, machine.containerConfig(wish))
    await assert.rejects(runtime.startContainer(id), message)
    const record = runtime.listContainers().find(each => each.id === id)!
    assert.equal(record.state, 'exited')
    assert.equal(record.reason, 'ContainerCannotRun')
    assert.match(record.message!, new RegExp(message.source.replace('unable to start container process: ', '')))
    assert.equal(record.exitCode, exitCode)
    await runtime.removePodSandbox(box.id)
  })

  test('refused: a volume over /proc or over the root', async () => {
    const runtime = machine.runtimes[0]!, box = await runtime.runPodSandbox(machine.sandboxConfig())
    for (const containerPath of ['/proc', '/proc/sys', '/', '//proc']) {
      await assert.rejects(runtime.createContainer(box.id, machine.containerConfig({ mounts: [{ hostPath: '/tmp', containerPath, readonly: false }] })), /inside \/proc|root/)
    }
  })

  const mask = (text: string) => Object.fromEntries([...text.matchAll(/^(Cap\w+|NoNewPrivs):\s*(\w+)$/gm)].map(match => [match[1]!, match[2]!]))
  const may: Record<string, { security: Security; bounding: string; nnp?: string }> = {
    'the usual set': { security: {}, bounding: '00000000a80425fb' },
    'one more': { security: { addCapabilities: ['NET_ADMIN'] }, bounding: '00000000a80435fb' },
    'nothing': { security: { dropCapabilities: ['ALL'], noNewPrivileges: true }, bounding: '0000000000000000', nnp: '1' },
    'only what is named': { security: { dropCapabilities: ['ALL'], addCapabilities: ['NET_BIND_SERVICE'] }, bounding: '0000000000000400' },
  }
  for (const [name, { security, bounding, nnp = '0' }] of Object.entries(may)) test(`capabilities: ${name}, also in an exec`, async () => {
    const pod = await machine.pod({ security })
    for (const status of [await pod.sh('cat /proc/1/status'), await pod.sh('cat /proc/self/status')]) {
      assert.deepEqual(mask(status), { CapInh: '0'.repeat(16), CapPrm: bounding, CapEff: bounding, CapBnd: bounding, CapAmb: '0'.repeat(16), NoNewPrivs: nnp })
    }
  })

  test('an unprivileged container cannot change the machine', async () => {
    const pod = await machine.pod()
    assert.match(await pod.sh('echo 1 > /proc/sys/net/ipv4/ip_forward'), /Read-only file system/)
    assert.match(await pod.sh('touch /proc/irq/x'), /Read-only file system|Permission denied|No such file/)
    assert.match(await pod.sh('mount -t tmpfs t /tmp'), /permission denied|must be superuser/)
    assert.equal(await pod.sh('cat /proc/keys /proc/timer_list 2>/dev/null | wc -c'), '0\n')
    assert.match(await pod.sh('mkdir /sys/x; ip link add d type dummy'), /exit/)
  })

  test('a privileged container on the host network works on the node', async () => {
    const pod = await machine.pod({ security: { privileged: true } }, { sandbox: { hostNetwork: true } })
    assert.equal(await pod.sh('echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet && cat /proc/sys/net/ipv4/conf/all/route_localnet'), '1\n')
    assert.equal(await pod.sh('iptables-nft -t nat -N KUBE-TEST && iptables-nft -t nat -S KUBE-TEST && iptables-nft -t nat -X KUBE-TEST'), '-N KUBE-TEST\n')
    assert.match(await pod.sh('ip -o link show cni0'), /cni0/)
    assert.match(await pod.sh('mount -t tmpfs t /tmp && echo ok'), /ok/)
  })

  test('users and groups', rootOnly, async () => {
    const as = async (security: Security) => (await machine.run('id -u; id -g; id -G; echo $HOME; grep CapEff /proc/self/status', { security })).text.replaceAll('stdout F ', '')
    assert.equal(await as({ runAsUser: 33 }), '33\n33\n33 44\n/var/www\nCapEff:\t0000000000000000\n')
    assert.equal(await as({ runAsUser: 1234, runAsGroup: 5, supplementalGroups: [7, 8] }), '1234\n5\n5 7 8\n/\nCapEff:\t0000000000000000\n')
  })

  test('a read-only root', async () => {
    const pod = await machine.pod({ security: { readonlyRootFilesystem: true }, mounts: [{ hostPath: mkdir('rw'), containerPath: '/cache', readonly: false }] })
    assert.match(await pod.sh('touch /x; touch /usr/x; touch /etc/hosts; touch /cache/x && echo cache; touch /dev/shm/x && echo shm'), /^touch.*Read-only.*\ntouch.*Read-only.*\ntouch.*Read-only.*\ncache\nshm\n$/)
  })

  const mkdir = (name: string) => { const path = join(machine.directory, 'volumes', name); mkdirSync(path, { recursive: true }); return path }

  test('volumes: directories, files, read-only ones, one inside another', async () => {
    const outer = mkdir('outer'), inner = mkdir('inner'), locked = mkdir('locked'), file = join(mkdir('files'), 'f')
    writeFileSync(file, 'text\n'); writeFileSync(join(locked, 'l'), 'l\n')
    const pod = await machine.pod({ mounts: [
      { hostPath: inner, containerPath: '/deep/er/inner', readonly: false }, { hostPath: outer, containerPath: '/deep', readonly: false },
      { hostPath: locked, containerPath: '/locked', readonly: true }, { hostPath: file, containerPath: '/etc/app/f', readonly: false },
      { hostPath: file, containerPath: '/etc/resolv.conf', readonly: true }] })
    assert.equal(await pod.sh('echo i > /deep/er/inner/i; echo o > /deep/o; cat /etc/app/f /etc/resolv.conf; cat /locked/l; touch /locked/x 2>&1 | grep -o Read-only'), 'text\ntext\nl\nRead-only\n')
    assert.equal(readFileSync(join(inner, 'i'), 'utf8') + readFileSync(join(outer, 'o'), 'utf8'), 'i\no\n')
  })

  test('a hostile symlink on the way to a mount point leads nowhere', async () => {
    const volume = mkdir('hostile'), secret = mkdir('secret'), outside = mkdir('outside')
    symlinkSync(outside, join(volume, 'absolute'))
    symlinkSync(`../../../../../../../../..${outside}`, join(volume, 'upward'))
    symlinkSync('loop', join(volume, 'loop'))
    const at = (path: string) => ({ hostPath: secret, containerPath: `/v/${path}`, readonly: false })
    const pod = await machine.pod({ mounts: [{ hostPath: volume, containerPath: '/v', readonly: false }, at('absolute/a'), at('upward/b')] })
    assert.ok(!existsSync(join(outside, 'a')) && !existsSync(join(outside, 'b')), 'nothing was made outside of the container')
    assert.equal(await pod.sh(`ls ${outside}`), 'a\nb\n')
    await assert.rejects(machine.pod({ mounts: [{ hostPath: volume, containerPath: '/v', readonly: false }, at('loop/c')] }), /ELOOP/)
  })

  test('a pod that is removed while its container starts leaves no process', async () => {
    const runtime = machine.runtimes[0]!
    for (let i = 0; i < 5; i++) {
      const box = await runtime.runPodSandbox(machine.sandboxConfig())
      const { id } = await runtime.createContainer(box.id, machine.containerConfig({ command: ['sleep', '31337'] }))
      const starting = runtime.startContainer(id).catch(() => {})
      await runtime.removePodSandbox(box.id)
      await starting
      assert.ok(!existsSync(join(machine.directory, 'sandboxes/n1', box.id)))
      await assert.rejects(runtime.createContainer(box.id, machine.containerConfig()), /not running/)
    }
    const lines = readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(name => { try { return readFileSync(`/proc/${name}/cmdline`, 'latin1') } catch { return '' } })
    assert.deepEqual(lines.filter(line => line.startsWith('sleep') && line.includes('31337')), [])
  })

  test('an image of many layers', async () => {
    const layers = Array.from({ length: 60 }, (_, i) => {
      const layer = mkdir(`${'l'.repeat(80)}:${i}`)
      writeFileSync(join(layer, `from-${i}`), '')
      return layer
    })
    machine.extraLayers = layers
    const pod = await machine.pod()
    machine.extraLayers = []
    assert.equal(await pod.sh('ls / | grep -c from-'), '60\n')
  })

  test('limits are kept and an out-of-memory kill has a name', rootOnly, async () => {
    const pod = await machine.pod({ resources: { memoryLimitBytes: 32 << 20, cpuLimitMilli: 500, pidsLimit: 20 }, script: 'exec perl -e \'for (1..200) { push @a, "x" x (1 << 20) } sleep 1\'' })
    const end = await pod.end()
    assert.equal(`${end.exitCode} ${end.reason}`, '137 OOMKilled')
    const forks = await machine.pod({ resources: { pidsLimit: 10 } })
    assert.match(await forks.sh('for i in $(seq 20); do sleep 1 & done; true'), /fork|Resource temporarily unavailable/)
  })
})

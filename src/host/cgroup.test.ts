import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hierarchies, settings } from './cgroup.ts'

test('hierarchies of version 2, version 1 and both', () => {
  const line = (root: string, rest: string) => `30 24 0:26 / ${root} rw,relatime shared:4 - ${rest}\n`
  const text = line('/', 'ext4 /dev/vda rw') + line('/sys/fs/cgroup/memory', 'cgroup cgroup rw,memory') + line('/sys/fs/cgroup/cpu,cpuacct', 'cgroup cgroup rw,cpu,cpuacct')
    + line('/sys/fs/cgroup/systemd', 'cgroup cgroup rw,name=systemd') + line('/sys/fs/cgroup/unified', 'cgroup2 cgroup2 rw')
  assert.deepEqual(hierarchies(text, () => []), [
    { version: 1, root: '/sys/fs/cgroup/memory', controllers: ['memory'] }, { version: 1, root: '/sys/fs/cgroup/cpu,cpuacct', controllers: ['cpu'] },
    { version: 2, root: '/sys/fs/cgroup/unified', controllers: [] }])
})

const limits = { memoryBytes: 1 << 26, cpuMilli: 250, cpuRequestMilli: 500, pids: 10 }
test('limits in the files of each version', () => {
  assert.deepEqual(settings(2, limits), { memory: [['memory.max', 67108864], ['memory.swap.max', 0]], cpu: [['cpu.max', '25000 100000'], ['cpu.weight', 20]], pids: [['pids.max', 10]] })
  assert.deepEqual(settings(1, limits), { memory: [['memory.limit_in_bytes', 67108864]], cpu: [['cpu.cfs_period_us', 100000], ['cpu.cfs_quota_us', 25000], ['cpu.shares', 512]], pids: [['pids.max', 10]] })
  assert.deepEqual(settings(2, {}), { memory: [], cpu: [], pids: [] })
  assert.deepEqual(settings(1, { cpuMilli: 1, cpuRequestMilli: 0 }).cpu, [['cpu.cfs_period_us', 100000], ['cpu.cfs_quota_us', 1000], ['cpu.shares', 2]])
})

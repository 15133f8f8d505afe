import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cgroupRootIn } from './bpf.ts'

const first = 'cgroup:[4026531835]', other = 'cgroup:[4026532555]'
const mountinfo = (...lines: string[]) => lines.map((line, i) => `${30 + i} 20 0:${26 + i} ${line}`).join('\n') + '\n'

test('where the machine\'s root control group is mounted', () => {
  const hybrid = mountinfo('/ / rw - ext4 /dev/vda rw', '/ /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory', '/ /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw')
  assert.equal(cgroupRootIn(hybrid, first), '/sys/fs/cgroup/unified')
  assert.equal(cgroupRootIn(mountinfo('/kubepods/pod1 /sys/fs/cgroup ro - cgroup2 cgroup rw'), first), undefined, 'a part of the tree')
  const pod = mountinfo('/ /sys/fs/cgroup ro - cgroup2 cgroup rw', '/../../.. /host/cgroup rw - cgroup2 cgroup2 rw')
  assert.equal(cgroupRootIn(pod, other), '/host/cgroup', 'from a control group namespace')
  assert.equal(cgroupRootIn(mountinfo('/ /sys/fs/cgroup ro - cgroup2 cgroup rw'), other), undefined, 'only the namespace\'s own')
})

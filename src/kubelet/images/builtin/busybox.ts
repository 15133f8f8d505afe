// The images busybox and alpine: the machine's busybox, its applets in front of the machine's own
// programs of the same names.
import type { Builtin, Entry, Machine } from './layer.ts'
import { file, link, path, script } from './layer.ts'
import { dockerHub, kubernetes, tests } from './registries.ts'
import { skeleton } from './skeleton.ts'
import { alpine as alpineVersions, busybox as versions, oldBusybox, testBusybox } from '../versions.ts'

const standIn = (machine: Machine) => machine.busybox === undefined
  ? `${machine.distribution}'s own programs` : `${machine.distribution}'s BusyBox ${machine.busybox.version}`

export const busybox: Builtin = {
  name: 'busybox',
  shown: 'busybox',
  sources: [
    { repositories: dockerHub('busybox'), versions },
    { repositories: kubernetes('busybox'), versions: oldBusybox },
    { repositories: tests('busybox'), versions: testBusybox },
  ],
  needs: () => 'nothing',
  standIn,
  config: () => ({ cmd: ['sh'], env: [path] }),
  layer: machine => [...skeleton(machine), ...applets(machine)],
}

export const alpine: Builtin = {
  name: 'alpine',
  shown: 'alpine',
  sources: [{ repositories: dockerHub('alpine'), versions: alpineVersions }],
  needs: () => 'nothing',
  standIn: machine => `${standIn(machine)} (no apk)`,
  config: () => ({ cmd: ['/bin/sh'], env: [path] }),
  layer: (machine, { tag }) => [
    ...skeleton(machine).filter(entry => entry.path !== '/etc/os-release'), ...applets(machine),
    ...release(tag ?? 'latest'),
    script('/usr/sbin/apk', `echo "apk: this is Fairway's stand-in for alpine, which has no packages; load the real image: fairway image load FILE.tar" >&2; exit 1`),
  ],
}

/** /bin is a link to usr/bin, so this is where the machine's own programs stand as well. */
function applets({ busybox, sbin }: Machine): Entry[] {
  if (busybox === undefined) return []
  const names = busybox.applets.filter(name => name !== 'busybox')
  return [...names.map(name => link(`/usr/bin/${name}`, 'busybox')), ...sbin.map(name => link(`/usr/sbin/${name}`, '../bin/busybox'))]
}

function release(tag: string): Entry[] {
  const version = /^\d+(?:\.\d+)+$/.test(tag) ? tag : Object.keys(alpineVersions.series).at(-1)!
  return [
    file('/etc/alpine-release', `${version}\n`),
    file('/etc/os-release', `NAME="Alpine Linux"\nID=alpine\nVERSION_ID=${version}\nPRETTY_NAME="Alpine Linux v${version} (Fairway's stand-in)"\n`),
  ]
}

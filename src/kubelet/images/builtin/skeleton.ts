// The files that every built-in image has besides what the machine's /usr brings: a Debian-like
// /etc with none of the machine's own users, names or settings, and the directories programs write to.
import { dir, file, link, path } from './layer.ts'
import type { Entry, Machine } from './layer.ts'

const passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
sync:x:4:65534:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nginx:x:101:101:nginx user:/nonexistent:/bin/false
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`
const group = `root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
www-data:x:33:
shadow:x:42:
utmp:x:43:
staff:x:50:
users:x:100:
nginx:x:101:
nogroup:x:65534:
`
const nsswitch = `passwd:   files
group:    files
shadow:   files
hosts:    files dns
networks: files
protocols: files
services: files
`

const copied = ['/etc/ld.so.cache', '/etc/ssl/openssl.cnf', '/etc/ssl/certs/ca-certificates.crt', '/etc/protocols', '/etc/services', '/etc/ethertypes', '/etc/gai.conf',
  // iptables and iproute2 read these; their packages own them.
  '/etc/xtables.conf', '/etc/iproute2/rt_tables', '/etc/iproute2/rt_protos', '/etc/iproute2/rt_scopes']

/** The runtime mounts over /etc/{hosts,hostname,resolv.conf}, /proc, /dev and /sys. */
export function skeleton(machine: Machine): Entry[] {
  return [
    ...['/boot', '/dev', '/home', '/media', '/mnt', '/opt', '/proc', '/run', '/srv', '/sys', '/usr/local/bin',
      '/var/cache', '/var/lib', '/var/log', '/var/mail', '/var/spool', '/var/www'].map(name => dir(name)),
    dir('/root', 0o700), dir('/tmp', 0o1777), dir('/var/tmp', 0o1777), dir('/run/lock', 0o1777),
    link('/var/run', '/run'), link('/var/lock', '/run/lock'),
    ...machine.links.map(([name, target]) => link(`/${name}`, target)),
    file('/etc/passwd', passwd), file('/etc/group', group), file('/etc/shadow', 'root:*:19000:0:99999:7:::\n', 0o640),
    file('/etc/nsswitch.conf', nsswitch), file('/etc/host.conf', 'multi on\n'), file('/etc/shells', '/bin/sh\n'),
    file('/etc/hosts', ''), file('/etc/hostname', ''), file('/etc/resolv.conf', ''),
    file('/etc/profile', `export ${path}\n`),
    link('/etc/mtab', '/proc/mounts'), link('/etc/os-release', '../usr/lib/os-release'),
    file('/etc/ld.so.conf', 'include /etc/ld.so.conf.d/*.conf\n'), dir('/etc/ld.so.conf.d'),
    ...copied.map((from): Entry => ({ kind: 'copy', path: from, from })),
    ...machine.alternatives.map(([name, target]) => link(`/etc/alternatives/${name}`, target)),
  ]
}

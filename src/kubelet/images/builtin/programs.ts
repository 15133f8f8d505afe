// The images that hold one program: pause, serve_hostname, agnhost, kube-proxy and coredns. What can be a
// shell or nginx is, since a pod of those starts in a few milliseconds and needs few MB; the rest
// is Fairway itself.
import type { Builtin, Entry, Machine } from './layer.ts'
import { becomeFairway, dir, mountPoints, path, script } from './layer.ts'
import { kubernetes, tests } from './registries.ts'
import { skeleton } from './skeleton.ts'
import { agnhost as agnhostVersions, coredns as corednsVersions, kubeProxy as kubeProxyVersions, pause as pauseVersions, serveHostname as serveHostnameVersions } from '../versions.ts'

// As process 1 of its namespace a shell must trap SIGTERM to be ended by it, and one that waits for
// a child would be two processes: so it reads from a FIFO that nobody writes to.
const fifo = '/var/lib/fairway/never'
const waitForSignal = (onTerm: string, onInt: string) => `trap '${onTerm}' TERM
trap '${onInt}' INT
exec 3<>${fifo}
while :; do read -r x <&3; done`
const waits: Entry = { kind: 'fifo', path: fifo }

export const pause: Builtin = {
  name: 'pause',
  shown: 'registry.k8s.io/pause:3.10',
  sources: [{ repositories: [...kubernetes('pause'), 'docker.io/rancher/pause', 'docker.io/rancher/mirrored-pause', 'docker.io/kubernetes/pause'], versions: pauseVersions }],
  needs: () => 'nothing',
  standIn: () => 'a shell that waits',
  config: () => ({ entrypoint: ['/pause'], env: [path] }),
  layer: machine => [...skeleton(machine), waits, script('/pause', waitForSignal('exit 0', 'exit 0'))],
}

export const serveHostname: Builtin = {
  name: 'serve_hostname',
  shown: 'registry.k8s.io/serve_hostname',
  sources: [
    { repositories: [...kubernetes('serve_hostname'), ...kubernetes('serve-hostname'), ...tests('serve-hostname'), ...tests('serve_hostname')], versions: serveHostnameVersions },
  ],
  needs: () => 'program',
  standIn: machine => machine.nginx === undefined ? "Fairway's serve-hostname" : `${machine.distribution}'s nginx ${machine.nginx} and Fairway's serve-hostname`,
  config: () => ({ entrypoint: ['/serve_hostname'], env: [path], exposedPorts: ['9376/tcp'] }),
  layer: machine => [...skeleton(machine), ...mountPoints, ...hostnameServer('/serve_hostname', machine)],
}

export const agnhost: Builtin = {
  name: 'agnhost',
  shown: 'registry.k8s.io/e2e-test-images/agnhost:2.40',
  sources: [{ repositories: tests('agnhost'), versions: agnhostVersions }],
  needs: () => 'program',
  standIn: () => "Fairway's agnhost",
  config: () => ({ entrypoint: ['/agnhost'], cmd: ['pause'], env: [path] }),
  layer: machine => [
    ...skeleton(machine), ...mountPoints, waits, dir('/uploads', 0o777), ...hostnameServer('/opt/fairway/serve_hostname', machine),
    script('/agnhost', `case "$1" in
serve-hostname) shift; exec /opt/fairway/serve_hostname "$@";;
pause) [ $# -gt 1 ] || { echo Paused
${waitForSignal('echo exiting 2; exit 2', 'echo exiting 1; exit 1')}; };;
esac
${becomeFairway('agnhost')}`),
  ],
}

export const kubeProxy: Builtin = {
  name: 'kube-proxy',
  shown: 'registry.k8s.io/kube-proxy:v1.36.0',
  sources: [{ repositories: kubernetes('kube-proxy'), versions: kubeProxyVersions }],
  needs: () => 'program and modules',
  standIn: () => "Fairway's own kube-proxy",
  config: () => ({ entrypoint: ['/usr/local/bin/kube-proxy'], env: [path] }),
  layer: machine => [...skeleton(machine), ...mountPoints, script('/usr/local/bin/kube-proxy', becomeFairway('proxy'))],
}

export const coredns: Builtin = {
  name: 'coredns',
  shown: 'registry.k8s.io/coredns/coredns:v1.13.1',
  sources: [{ repositories: [...kubernetes('coredns/coredns'), ...kubernetes('coredns'), 'docker.io/coredns/coredns'], versions: corednsVersions }],
  needs: () => 'program and modules',
  standIn: () => "Fairway's own cluster DNS",
  config: () => ({ entrypoint: ['/coredns'], env: [path], exposedPorts: ['53/tcp', '53/udp'] }),
  layer: machine => [...skeleton(machine), ...mountPoints, script('/coredns', becomeFairway('dns'))],
}

/** Plain HTTP is nginx's where there is one (5 ms and 3 MB against 60 ms and 40 MB); other protocols, and a file system that nginx cannot write its pid to, are Node's. */
function hostnameServer(path: string, machine: Machine): Entry[] {
  const node = becomeFairway('agnhost', 'serve-hostname')
  if (machine.nginx === undefined) return [script(path, node)]
  return [dir('/var/lib/nginx'), dir('/var/log/nginx'), script(path, `port=9376 close=
for a; do
  case "$a" in
  --http|--http=true) ;;
  --close|--close=true) close='keepalive_timeout 0;';;
  --port=[0-9]*) port=\${a#*=};;
  *) port=;;
  esac
  [ -n "$port" ] || break
done
[ -n "$port" ] && [ -w /run ] && [ -w /var/lib/nginx ] && [ -e /proc/net/if_inet6 ] || {
${node}
}
printf %s "user root; pid /run/serve_hostname.pid; error_log stderr warn; daemon off; master_process off; events {}
http { $close server_tokens off; types {} default_type 'text/plain; charset=utf-8';
map \\$time_iso8601 \\$stamp { '~^(?<y>\\\\d+)-(?<m>\\\\d+)-(?<d>\\\\d+)T(?<t>[\\\\d:]+)' '\\$y/\\$m/\\$d \\$t'; }
log_format request '\\$stamp HTTP request from \\$remote_addr:\\$remote_port'; access_log /dev/stdout request;
server { listen $port; listen [::]:$port; client_max_body_size 0; location / { return 200 \\$hostname; } } }" > /run/serve_hostname.conf
echo "Serving on port $port."
exec nginx -e stderr -c /run/serve_hostname.conf`)]
}

// The image nginx: Debian's nginx with the official image's files, paths and logging; where the
// machine has none, the web server of src/agnhost under the same name and html path.
import type { Builtin, Entry, Machine } from './layer.ts'
import { becomeFairway, dir, file, link, mountPoints, path, script } from './layer.ts'
import { dockerHub, kubernetes, tests } from './registries.ts'
import { skeleton } from './skeleton.ts'
import { nginx as versions, nginxSlim, oldNginx, testNginx } from '../versions.ts'

export const nginx: Builtin = {
  name: 'nginx',
  shown: 'nginx',
  sources: [
    { repositories: dockerHub('nginx'), versions },
    { repositories: kubernetes('nginx-slim'), versions: nginxSlim },
    { repositories: kubernetes('nginx'), versions: oldNginx },
    { repositories: tests('nginx'), versions: testNginx },
  ],
  needs: machine => machine.nginx === undefined ? 'program' : 'nothing',
  standIn: machine => machine.nginx === undefined
    ? "Fairway's built-in web server" : `${machine.distribution}'s nginx ${machine.nginx}`,
  config: machine => ({
    entrypoint: ['/docker-entrypoint.sh'], cmd: ['nginx', '-g', 'daemon off;'],
    env: [path, ...machine.nginx === undefined ? [] : [`NGINX_VERSION=${machine.nginx}`]],
    stopSignal: 'SIGQUIT', exposedPorts: ['80/tcp'],
  }),
  layer: machine => [
    ...skeleton(machine), ...configuration(machine), ...pages,
    script('/docker-entrypoint.sh', entrypoint), dir('/docker-entrypoint.d'),
    dir('/var/cache/nginx'), dir('/var/lib/nginx'),
    link('/var/log/nginx/access.log', '/dev/stdout'), link('/var/log/nginx/error.log', '/dev/stderr'),
    ...machine.nginx === undefined ? [...mountPoints, script('/usr/sbin/nginx', becomeFairway('agnhost', 'nginx'))] : [],
  ],
}

// As the official image does it: scripts of the user's first, and no IPv6 listener where the kernel has no IPv6.
const entrypoint = `set -e
case "$1" in nginx|nginx-debug)
  for f in /docker-entrypoint.d/*.sh; do [ ! -x "$f" ] || "$f"; done
  [ -e /proc/net/if_inet6 ] || sed -i '/listen  *\\[::\\]/d' /etc/nginx/conf.d/default.conf
esac
exec "$@"`

/** Where the only user is 0, a worker that changed its user would die (setgid: EINVAL). */
const configuration = (machine: Machine): Entry[] => [
  file('/etc/nginx/nginx.conf', `user  ${machine.manyUsers ? 'nginx' : 'root'};
worker_processes  1;

error_log  /var/log/nginx/error.log notice;
pid        /run/nginx.pid;

events {
    worker_connections  1024;
}

http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;

    log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" '
                      '"$http_user_agent" "$http_x_forwarded_for"';

    access_log  /var/log/nginx/access.log  main;
    sendfile        on;
    keepalive_timeout  65;

    include /etc/nginx/conf.d/*.conf;
}
`),
  file('/etc/nginx/conf.d/default.conf', defaultSite),
  file('/etc/nginx/mime.types', `types {\n${mimeTypes.map(line => `    ${line};\n`).join('')}}\n`),
]

/** The site that an untouched image serves; the stand-in serves this and refuses any other. */
export const defaultSite = `server {
    listen       80;
    listen  [::]:80;
    server_name  localhost;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }

    error_page   500 502 503 504  /50x.html;
    location = /50x.html {
        root   /usr/share/nginx/html;
    }
}
`

const mimeTypes = ['text/html html htm shtml', 'text/css css', 'text/xml xml', 'text/plain txt', 'text/javascript js mjs', 'application/json json',
  'application/manifest+json webmanifest', 'application/wasm wasm', 'application/pdf pdf', 'application/zip zip', 'application/gzip gz', 'application/atom+xml atom',
  'image/gif gif', 'image/jpeg jpeg jpg', 'image/png png', 'image/svg+xml svg svgz', 'image/webp webp', 'image/avif avif', 'image/x-icon ico', 'font/woff woff', 'font/woff2 woff2',
  'audio/mpeg mp3', 'video/mp4 mp4', 'video/webm webm', 'application/octet-stream bin exe iso img deb rpm']

const page = (title: string, body: string) => `<!DOCTYPE html>
<html>
<head>
<title>${title}</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto; font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
${body}
</body>
</html>
`
const pages: readonly Entry[] = [
  file('/usr/share/nginx/html/index.html', page('Welcome to nginx!', `<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>

<p><em>Thank you for using nginx.</em></p>`)),
  file('/usr/share/nginx/html/50x.html', page('Error', `<h1>An error occurred.</h1>
<p>The page you are looking for is currently unavailable.</p>`)),
]

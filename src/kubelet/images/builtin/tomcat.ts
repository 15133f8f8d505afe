// The image tomcat: there is no Java here, so a small web server of Fairway's answers in its place
// on 8080 with the files below webapps/ROOT, and says so on its page.
import type { Builtin } from './layer.ts'
import { becomeFairway, dir, file, mountPoints, script } from './layer.ts'
import { dockerHub } from './registries.ts'
import { skeleton } from './skeleton.ts'
import { tomcat as versions } from '../versions.ts'

const home = '/usr/local/tomcat'

export const tomcat: Builtin = {
  name: 'tomcat',
  shown: 'tomcat',
  sources: [{ repositories: dockerHub('tomcat'), versions }],
  needs: () => 'program',
  standIn: () => "Fairway's built-in web server (no Java)",
  config: (_, { tag }) => ({
    cmd: ['catalina.sh', 'run'], workingDir: home, exposedPorts: ['8080/tcp'],
    env: [`PATH=${home}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`, `CATALINA_HOME=${home}`, `TOMCAT_VERSION=${versionOf(tag)}`],
  }),
  layer: (machine, { tag }) => [
    ...skeleton(machine), ...mountPoints, ...['conf', 'logs', 'temp', 'work'].map(name => dir(`${home}/${name}`)),
    script(`${home}/bin/catalina.sh`, becomeFairway('agnhost', 'tomcat')),
    file(`${home}/webapps/ROOT/index.html`, page(versionOf(tag))),
  ],
}

/** `8.5-jre10-slim` is 8.5; a tag without a version is the newest. */
const versionOf = (tag = '') => /^\d+(?:\.\d+)*/.exec(tag)?.[0] ?? versionsNewest
const versionsNewest = Object.keys(versions.series).at(-1)!

const page = (version: string) => `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8" />
<title>Apache Tomcat/${version}</title>
</head>
<body>
<h1>Apache Tomcat/${version}</h1>
<h2>If you're seeing this, you've successfully installed Tomcat. Congratulations!</h2>
<p>This page comes from Fairway's built-in web server, which stands in for Tomcat: it serves the files
below ${home}/webapps and runs no servlets. Load the real image with <code>fairway image load</code>.</p>
</body>
</html>
`

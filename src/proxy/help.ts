// The text of `fairway proxy --help`.
import { fieldFlags, fieldType } from './fields.ts'
import { modes } from './mode.ts'

export function usage(): string {
  const flags = Object.entries(fieldFlags).sort(([a], [b]) => a < b ? -1 : 1)
  return `Usage: fairway proxy [flags]
       fairway proxy trace --to NAME[:PORT]|IP:PORT [--from POD|IP]   (see fairway proxy trace --help)

The Kubernetes Service proxy (kube-proxy) of this machine.

  --config FILE        KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1); a flag wins over it
  --kubeconfig FILE    how to reach the API server; without it, the pod's own credentials
  --master URL         the API server's address, in place of the kubeconfig's
  --cleanup            remove what kube-proxy made in any mode and exit
  --fallback           run in another mode where the configured one cannot

Flags that set a field of the configuration:
${flags.map(([flag, path]) => `  --${`${flag} ${fieldType(path) === 'bool' ? '' : fieldType(path)}`.padEnd(44)} ${path}`).join('\n')}

Modes:
${Object.entries(modes).map(([name, { here, about }]) => `  ${name.padEnd(12)} ${about}${here ? '' : ' (not supported)'}`).join('\n')}
`
}

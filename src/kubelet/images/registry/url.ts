// Addresses of the distribution API (distribution-spec 1.1). Pure.
import type { Reference } from '../reference.ts'

/** Docker Hub's API has another name than its images; a registry on this machine speaks plain HTTP, as containerd takes it. */
export function baseUrl(registry: string): string {
  if (registry === 'docker.io') return 'https://registry-1.docker.io'
  const host = registry.replace(/:\d+$/, '')
  const isLocal = host === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(host) || host === '[::1]'
  return `${isLocal ? 'http' : 'https'}://${registry}`
}

export const manifestUrl = ({ registry, repository }: Reference, name: string): string => `${baseUrl(registry)}/v2/${repository}/manifests/${name}`
export const blobUrl = ({ registry, repository }: Reference, digest: string): string => `${baseUrl(registry)}/v2/${repository}/blobs/${digest}`

/** Where a redirect leads, and whether credentials may go along; undefined when it must not be followed. */
export function redirect(from: string, location: string | undefined): { readonly url: string; readonly sameHost: boolean } | undefined {
  if (location === undefined || !URL.canParse(location, from)) return undefined
  const [old, next] = [new URL(from), new URL(location, from)]
  if (!/^https?:$/.test(next.protocol) || (old.protocol === 'https:' && next.protocol === 'http:')) return undefined
  return { url: next.href, sameHost: old.origin === next.origin }
}

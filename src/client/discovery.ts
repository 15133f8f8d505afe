// What an API server serves, read from the server itself, so that the namespace controller and the
// garbage collector also see kinds that Fairway has never heard of.
import type { APIGroupList, APIResourceList } from '#api/meta/v1.ts'
import type { Resource } from '#api/resources.ts'
import type { Client } from './client.ts'

export interface Discovered { readonly found: readonly Resource[]; /** Groups that could not be read, with the reason. */ readonly errors: readonly string[] }

/** Every resource in each group's preferred version that has all the verbs named. */
export async function discover(client: Client, verbs: readonly string[]): Promise<Discovered> {
  const get = <T>(path: string) => client.transport.request({ method: 'GET', path }) as Promise<T>
  const errors: string[] = []
  const groups = await get<APIGroupList>('/apis')
  const versions = ['v1', ...groups.groups.map(group => (group.preferredVersion ?? group.versions[0])?.groupVersion).filter(version => version !== undefined)]
  const lists = await Promise.all(versions.map(version => get<APIResourceList>(version === 'v1' ? '/api/v1' : `/apis/${version}`).catch((error: unknown) => {
    errors.push(`${version}: ${(error as Error).message}`)
    return undefined
  })))
  const found = lists.flatMap(list => list?.resources.filter(resource => !resource.name.includes('/') && verbs.every(verb => resource.verbs.includes(verb)))
    .map((resource): Resource => {
      const [group, version] = list.groupVersion.includes('/') ? list.groupVersion.split('/') as [string, string] : ['', list.groupVersion]
      return { group, version, kind: resource.kind, plural: resource.name, singular: resource.singularName, namespaced: resource.namespaced,
        shortNames: resource.shortNames ?? [], categories: resource.categories ?? [], subresources: [], createOnly: false }
    }) ?? [])
  return { found, errors }
}

/** What can be listed and deleted within a namespace. */
export async function namespacedResources(client: Client): Promise<Discovered> {
  const { found, errors } = await discover(client, ['list', 'delete'])
  return { found: found.filter(resource => resource.namespaced), errors }
}

// Which representation a client wants: the Accept header of a request (endpoints/handlers/negotiation).
import { StatusError } from '#lib/errors.ts'

export interface Representation {
  readonly media: 'json' | 'yaml'
  /** `Table` and `PartialObjectMetadata(List)` of meta.k8s.io/v1 instead of the object itself. */
  readonly as: 'object' | 'Table' | 'PartialObjectMetadata'
}

interface Range { readonly type: string; readonly parameters: ReadonlyMap<string, string> }

const parse = (header: string): Range[] => header.split(',').map(part => {
  const [type = '', ...parameters] = part.split(';').map(text => text.trim())
  return { type: type.toLowerCase(), parameters: new Map(parameters.map(text => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)])) }
})

const media: Readonly<Record<string, Representation['media']>> = {
  'application/json': 'json', 'application/yaml': 'yaml', '*/*': 'json', 'application/*': 'json', '': 'json',
}

function representationOf({ type, parameters }: Range): Representation | undefined {
  const kind = media[type], as = parameters.get('as')
  if (!kind) return undefined
  if (as === undefined) return { media: kind, as: 'object' }
  if (parameters.get('g') !== 'meta.k8s.io' || parameters.get('v') !== 'v1') return undefined
  if (as === 'Table') return { media: kind, as: 'Table' }
  return as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList' ? { media: kind, as: 'PartialObjectMetadata' } : undefined
}

/** The first of the client's wishes that can be met; protobuf and CBOR answers cannot. */
export function negotiate(accept: string | undefined): Representation {
  if (!accept) return { media: 'json', as: 'object' }
  for (const range of parse(accept)) {
    const representation = representationOf(range)
    if (representation) return representation
  }
  throw new StatusError(406, 'NotAcceptable', 'only the following media types are accepted: application/json, application/yaml')
}

/** Whether discovery is wanted in one aggregated document (KEP-3352). */
export const wantsAggregated = (accept: string | undefined): boolean => parse(accept ?? '').some(({ type, parameters }) =>
  type === 'application/json' && parameters.get('g') === 'apidiscovery.k8s.io' && parameters.get('v') === 'v2' && parameters.get('as') === 'APIGroupDiscoveryList')

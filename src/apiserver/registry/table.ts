// Objects as meta.k8s.io/v1 Tables: what `kubectl get` shows. The columns are the kinds' own; this adds
// Name and Age where a kind does not bring them, and nothing here knows any kind.
import type { Table, TableColumnDefinition, TableRow } from '#api/meta/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { since } from './duration.ts'
import type { Column, Strategy } from './strategy.ts'

export interface TableSettings {
  /** Milliseconds, for ages. */
  readonly now: number
  readonly includeObject: 'Metadata' | 'Object' | 'None'
  readonly resourceVersion: string
  /** False for the later events of a watch, whose client knows the columns. */
  readonly withColumns: boolean
  readonly continue?: string
  readonly remainingItemCount?: number
}

const nameColumn: Column<KubeObject> = { name: 'Name', format: 'name', description: 'Unique within its namespace; set at creation.',
  value: object => object.metadata.name }
const ageColumn: Column<KubeObject> = { name: 'Age', description: 'Time since the server accepted the object.',
  value: (object, now) => since(object.metadata.creationTimestamp, now) }

const ages = ['Age', 'Last Seen', 'Created At']

/** Name, the kind's columns, Age, its wide columns; a kind that brings an age of its own has its own order. */
export function columnsOf(strategy: Strategy): readonly Column<KubeObject>[] {
  const columns = strategy.columns ?? []
  const name = columns.some(column => column.name === 'Name') ? [] : [nameColumn]
  if (columns.some(column => ages.includes(column.name))) return [...name, ...columns]
  return [...name, ...columns.filter(column => !column.wide), ageColumn, ...columns.filter(column => column.wide)]
}

const definition = (column: Column<KubeObject>): TableColumnDefinition => ({
  name: column.name, type: column.type ?? 'string', format: column.format ?? '',
  description: column.description ?? '', priority: column.wide ? 1 : 0,
})

const rowObject = (object: KubeObject, include: TableSettings['includeObject']): unknown =>
  include === 'None' ? null
    : include === 'Object' ? object
      : { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }

export function table(strategy: Strategy, objects: readonly KubeObject[], options: TableSettings): Omit<Table, 'columnDefinitions'> & { columnDefinitions: TableColumnDefinition[] | null } {
  const columns = columnsOf(strategy)
  const rows = objects.map((object): TableRow => ({
    cells: columns.map(column => column.value(object, options.now)),
    object: rowObject(object, options.includeObject),
  }))
  return {
    kind: 'Table', apiVersion: 'meta.k8s.io/v1',
    metadata: {
      resourceVersion: options.resourceVersion,
      ...(options.continue && { continue: options.continue }),
      ...(options.remainingItemCount !== undefined && { remainingItemCount: options.remainingItemCount }),
    },
    columnDefinitions: options.withColumns ? columns.map(definition) : null,
    rows,
  }
}

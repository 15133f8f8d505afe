// What types and fields mean, for `kubectl explain`: a table keyed by `Type` and `Type.field`, in our
// own words. Only what Fairway's users ask about most; a field that is not here has no description.

const descriptions: Readonly<Record<string, string>> = {
  '*.apiVersion': 'The group and version of this kind, such as apps/v1.',
  '*.kind': 'The kind of this object, such as Service.',
  '*.metadata': 'Name, namespace, labels, annotations and what the server keeps about the object.',
  '*.items': 'The objects of the list.',
}

/** `Service` or `ServiceSpec.ports`; undefined where the table says nothing. */
export const descriptionOf = (key: string): string | undefined => Object.hasOwn(descriptions, key) ? descriptions[key] : undefined

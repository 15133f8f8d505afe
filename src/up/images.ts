// Images of a cluster for `fairway image`: the same store that the kubelets use, in the same folder.
import type { Image } from '#kubelet/runtime/cri.ts'
import { openImages } from '#kubelet/images/apply.ts'
import { silent } from '#lib/log.ts'
import { clusterFiles, programRoot } from './paths.ts'

const store = (dataDir: string) => openImages({ directory: clusterFiles(dataDir).images, log: silent, fairwayRoot: programRoot, nodePath: process.execPath })

/** A docker-archive or OCI layout; returns what it held. */
export const loadImages = async (dataDir: string, file: string): Promise<Image[]> => (await store(dataDir)).loadArchive(file)

export const listImages = async (dataDir: string): Promise<Image[]> => (await store(dataDir)).listImages()

// Which Fairway this is: package.json's word.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { programRoot } from './paths.ts'

export const fairwayVersion: string = (JSON.parse(readFileSync(join(programRoot, 'package.json'), 'utf8')) as { version: string }).version

/** The Kubernetes whose behaviour this is, as kubeadm would tag its images. */
export const kubernetesVersion = 'v1.36.3'

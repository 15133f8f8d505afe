// What the images folder offers to the runtime and to `fairway image`, and its one error. Types
// and constructors only: apply.ts does the work.
import type { Image, ImagePullError, ImageService } from '../runtime/cri.ts'

/** The part of an image's configuration that a container needs (OCI image-spec config.md). */
export interface ImageConfig {
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  /** `NAME=value`. */
  readonly env: readonly string[]
  readonly workingDir: string
  /** `''` is root; `user`, `uid`, `user:group`, `uid:gid`. */
  readonly user: string
  /** `SIGTERM` when the image says nothing. */
  readonly stopSignal: string
  /** `80/tcp`. */
  readonly exposedPorts: readonly string[]
}

/** How to mount an image. Directories and files that `binds` cover exist in the layer. */
export interface RootFs {
  /** Topmost first, as overlayfs's `lowerdir` lists them. */
  readonly lowerDirs: readonly string[]
  /** The container's /usr is an overlay of the layers' /usr over the machine's /usr. */
  readonly usrFromHost: boolean
  readonly config: ImageConfig
  /** Always read-only. */
  readonly binds: readonly { readonly hostPath: string; readonly containerPath: string }[]
}

export interface ImageStore extends ImageService {
  /** `imageId` as `Image.id`. Throws when the image was removed meanwhile. */
  rootfs(imageId: string): Promise<RootFs>
  /** A docker-archive or an OCI layout as a tar file, compressed or not. Throws UserError. */
  loadArchive(file: string): Promise<Image[]>
  /** By reference or id; false when there was none. Built-in images stay. */
  removeImage(reference: string): Promise<boolean>
}

class PullError extends Error {
  readonly reason: ImagePullError['reason']
  constructor(reason: ImagePullError['reason'], message: string) {
    super(message)
    this.name = 'ImagePullError'
    this.reason = reason
  }
}

export const imagePullError = (reason: ImagePullError['reason'], message: string): ImagePullError => new PullError(reason, message)
export const isImagePullError = (error: unknown): error is ImagePullError => error instanceof PullError

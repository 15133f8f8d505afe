// The registry prefixes under which manifests name the same image: Docker Hub and its mirrors,
// Kubernetes's registries past and present, and the copies people use where those are out of reach.

const hubMirrors = ['docker.io/library', 'public.ecr.aws/docker/library', 'mirror.gcr.io/library', 'quay.io/library', 'registry.docker-cn.com/library',
  'docker.m.daocloud.io/library', 'hub-mirror.c.163.com/library', 'docker.mirrors.ustc.edu.cn/library', 'dockerhub.azk8s.cn/library', 'docker.io/dyrnq']

const kubernetesRegistries = ['registry.k8s.io', 'k8s.gcr.io', 'gcr.io/google_containers', 'gcr.io/google-containers', 'eu.gcr.io/k8s-artifacts-prod',
  'us.gcr.io/k8s-artifacts-prod', 'asia.gcr.io/k8s-artifacts-prod', 'registry.aliyuncs.com/google_containers', 'registry.cn-hangzhou.aliyuncs.com/google_containers',
  'registry.cn-beijing.aliyuncs.com/google_containers', 'registry.cn-shanghai.aliyuncs.com/google_containers', 'k8s.m.daocloud.io', 'm.daocloud.io/registry.k8s.io',
  'gcr.azk8s.cn/google_containers', 'docker.io/mirrorgooglecontainers', 'docker.io/googlecontainer', 'quay.io/google_containers', 'docker.io/dyrnq', 'docker.io/kubeimage']

const testRegistries = [...kubernetesRegistries.map(registry => `${registry}/e2e-test-images`), 'gcr.io/kubernetes-e2e-test-images', 'gcr.io/k8s-staging-e2e-test-images']

/** `-amd64` and the like stood for a platform before manifests could list several. */
const platforms = ['', '-amd64', '-arm64']

const under = (prefixes: readonly string[], name: string) => prefixes.flatMap(prefix => platforms.map(platform => `${prefix}/${name}${platform}`))

export const dockerHub = (name: string): string[] => [...hubMirrors.map(prefix => `${prefix}/${name}`), `docker.io/amd64/${name}`, `docker.io/arm64v8/${name}`]
export const kubernetes = (name: string): string[] => under(kubernetesRegistries, name)
export const tests = (name: string): string[] => under(testRegistries, name)

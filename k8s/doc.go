// Package k8s holds the manifests of Roost to what the gateway does: the chart and the kustomize base are rendered,
// checked against the schemas of Kubernetes and of the operators they speak to, and compared with the gateway's settings,
// ports, health checks, drain and metrics. Its tests need what `make tools` builds.
//
// It is a module of its own, because it leans on Prometheus, which the gateway does not.
package k8s

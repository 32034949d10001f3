module bulla.test/servers/crds

go 1.26.0

// Only their CRDs are read: nothing of these is compiled.
require (
	github.com/argoproj/argo-cd/v3 v3.5.0
	github.com/fluxcd/kustomize-controller v1.9.1
	github.com/fluxcd/source-controller v1.9.1
	github.com/prometheus-operator/prometheus-operator v0.85.0
)

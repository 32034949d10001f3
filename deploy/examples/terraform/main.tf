# The controller by its chart. Nothing secret is read or written here, so nothing secret is in the state: sealing keys are
# made in the cluster and stay there, and what is sealed is applied by Argo CD or Flux, not by Terraform.
terraform {
  required_version = ">= 1.6"
  required_providers {
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.0"
    }
  }
}

variable "chart" {
  description = "Where the chart is: a folder, or an address such as oci://registry.example.com/charts/bulla."
  type        = string
  default     = "../../chart"
}

resource "helm_release" "bulla" {
  name             = "bulla"
  namespace        = "bulla-system"
  create_namespace = true
  chart            = var.chart
  atomic           = true
  timeout          = 300

  values = [yamlencode({
    replicas = 2
    metrics  = { serviceMonitor = { enabled = true } }
    externalSecrets = {
      storeTokens = { enabled = true, serviceAccounts = ["app"] }
    }
  })]
}

output "namespace" {
  description = "Where the sealing keys and ConfigMap bulla-sealing-keys are."
  value       = helm_release.bulla.namespace
}

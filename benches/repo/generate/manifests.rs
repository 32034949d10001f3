//! What stands beside the secrets: workloads, settings, overlays, charts.

use super::words::Words;

/// A workload that takes its passwords from a Secret.
pub(crate) fn deployment(words: &mut Words, namespace: &str, name: &str, tag: &str) -> String {
    let (replicas, memory, digest) = (words.between(1, 6), words.between(1, 16) * 64, words.hex(64));
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: {namespace}
  labels:
    app.kubernetes.io/name: {name}
    app.kubernetes.io/version: \"{tag}\"
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{app.kubernetes.io/name: {name}}}
  template:
    metadata:
      labels: {{app.kubernetes.io/name: {name}}}
      annotations:
        checksum/config: {digest}
    spec:
      serviceAccountName: {name}
      containers:
      - name: app
        image: images.example.org/{namespace}/{name}:{tag} # {{\"$imagepolicy\": \"flux-system:{name}\"}}
        ports:
        - containerPort: 8080
        env:
        - name: LOG_LEVEL
          value: info
        - name: DB_PASSWORD
          valueFrom:
            secretKeyRef: {{name: {name}-db, key: password}}
        - name: API_TOKEN
          valueFrom:
            secretKeyRef:
              name: {name}-api
              key: token
        resources:
          requests: {{cpu: 100m, memory: {memory}Mi}}
          limits: {{memory: {memory}Mi}}
        readinessProbe:
          httpGet: {{path: /healthz, port: 8080}}
        volumeMounts:
        - {{name: tls, mountPath: /etc/tls, readOnly: true}}
      volumes:
      - name: tls
        secret: {{secretName: {name}-tls}}
"
    )
}

/// Settings, among them files, which name passwords and hold none.
pub(crate) fn config_map(words: &mut Words, namespace: &str, name: &str) -> String {
    let mut text =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}-config\n  namespace: {namespace}\ndata:\n");
    for _ in 0..words.between(4, 12) {
        let (first, second, number) = (words.word().to_uppercase(), words.word().to_uppercase(), words.below(5000));
        text.push_str(&format!("  {first}_{second}_{number}: \"{number}\"\n"));
    }
    text.push_str("  application.properties: |\n    spring.datasource.password=${DB_PASSWORD}\n");
    for _ in 0..words.between(6, 30) {
        let (first, second, third) = (words.word(), words.word(), words.word());
        text.push_str(&format!("    app.{first}.{second}={third}\n"));
    }
    text
}

/// The list of an application's files, in the namespace that they name themselves.
pub(crate) fn kustomization(namespace: &str, resources: &[String], images: &[(&str, &str)]) -> String {
    let mut text = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: {namespace}\nresources:\n"
    );
    for resource in resources {
        text.push_str(&format!("- {resource}\n"));
    }
    if !images.is_empty() {
        text.push_str("images:\n");
    }
    for (name, tag) in images {
        text.push_str(&format!("- name: {name}\n  newTag: \"{tag}\"\n"));
    }
    text
}

/// A cluster's store, which takes its credentials from the cluster.
pub(crate) fn store(name: &str) -> String {
    format!(
        "apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata:
  name: {name}
spec:
  provider:
    aws:
      service: SecretsManager
      region: eu-central-1
"
    )
}

/// A secret that is fetched from `store`.
pub(crate) fn external_secret(words: &mut Words, namespace: &str, name: &str, store: &str) -> String {
    let key = words.name();
    format!(
        "apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {name}
  namespace: {namespace}
spec:
  refreshInterval: 1h
  secretStoreRef: {{kind: ClusterSecretStore, name: {store}}}
  target: {{name: {name}}}
  data:
  - secretKey: password
    remoteRef: {{key: {key}, property: password}}
  - secretKey: username
    remoteRef: {{key: {key}, property: username}}
"
    )
}

/// A chart's template of a Secret: no secret yet.
pub(crate) fn chart_template(name: &str) -> String {
    format!(
        "{{{{- if not .Values.existingSecret }}}}
apiVersion: v1
kind: Secret
metadata:
  name: {{{{ include \"{name}.fullname\" . }}}}
  labels:
    {{{{- include \"{name}.labels\" . | nindent 4 }}}}
type: Opaque
data:
  password: {{{{ required \"a password is required\" .Values.auth.password | b64enc | quote }}}}
  token: {{{{ .Values.auth.token | b64enc }}}}
{{{{- end }}}}
"
    )
}

/// A CustomResourceDefinition of about `fields` fields, deeply nested.
pub(crate) fn definition(words: &mut Words, fields: usize) -> Vec<String> {
    let kind = words.name();
    let head = format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {kind}s.example.org
spec:
  group: example.org
  scope: Namespaced
  names: {{kind: {kind}, plural: {kind}s}}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:"
    );
    let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
    let mut depth = 10;
    for number in 0..fields {
        let indent = " ".repeat(depth);
        lines.push(format!("{indent}{}{number}:", words.variable()));
        lines.push(format!("{indent}  description: {}", words.sentence()));
        if words.chance(25) && depth < 30 {
            lines.push(format!("{indent}  type: object"));
            lines.push(format!("{indent}  properties:"));
            depth += 4;
        } else {
            lines.push(format!("{indent}  type: string"));
            if words.chance(20) && depth > 10 {
                depth -= 4;
            }
        }
    }
    // The last field may have opened a level that nothing stands in.
    let indent = " ".repeat(depth);
    lines.extend([format!("{indent}last:"), format!("{indent}  type: string")]);
    lines
}

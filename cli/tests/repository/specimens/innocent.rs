//! Files that look as if they had secrets, and have none.

use super::{Specimen, base64, bytes, fill, indented, jwt, pem};
use crate::support::dice::Dice;

/// Hundreds of files. `sealed` are SealedSecrets of both formats, made by the real programs.
pub(crate) fn innocent(dice: &mut Dice, sealed: &[String]) -> Vec<Specimen> {
    let mut all = Vec::new();
    let mut add = |file: &str, text: String| {
        let folder = all.len();
        all.push(Specimen {
            file: format!("innocent/{folder}/{file}"),
            bytes: text.into_bytes(),
            rule: None,
            secrets: Vec::new(),
        });
    };
    for text in sealed {
        for (file, text) in sealed_everywhere(text) {
            add(file, text);
        }
    }
    for at in 0..8 {
        encrypted(dice, &mut add);
        public(dice, at, &mut add);
        hashes(dice, &mut add);
        code(dice, &mut add);
    }
    for (file, text) in PLACEHOLDERS.iter().chain(&MANIFESTS).chain(&CODE) {
        add(file, (*text).to_owned());
    }
    all
}

/// A SealedSecret as a document, in a List, in JSON, in values of a chart, and in a text.
fn sealed_everywhere(text: &str) -> Vec<(&'static str, String)> {
    let values: Vec<(String, String)> = text
        .lines()
        .skip_while(|line| line.trim() != "encryptedData:")
        .skip(1)
        .filter_map(|line| line.trim().split_once(": "))
        .filter(|(_, value)| value.len() > 200)
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    assert!(!values.is_empty(), "{text}");
    let map: serde_json::Map<String, serde_json::Value> =
        values.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    let object = serde_json::json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "db"},
        "spec": {"encryptedData": map, "template": {"metadata": {"name": "db"}, "type": "Opaque", "data": {"url": "postgres://{{ .username }}:{{ .password }}@db/app"}}},
    });
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [object]});
    let plain: String =
        values.iter().map(|(key, value)| format!("    {key}: {value}\n    {key}_token: \"{value}\"\n")).collect();
    let env: String =
        values.iter().map(|(key, value)| format!("export DB_{}_PASSWORD={value}\n", key.to_uppercase())).collect();
    let folded: String = values
        .iter()
        .map(|(key, value)| {
            let lines: Vec<&str> = value.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
            format!("    {key}: >-\n{}", indented(&lines.join("\n"), 6))
        })
        .collect();
    vec![
        ("sealed.yaml", text.to_owned()),
        (
            "list.yaml",
            format!(
                "apiVersion: v1\nkind: List\nitems:\n- {}",
                indented(text.trim_start_matches("---\n"), 2).trim_start()
            ),
        ),
        ("sealed.json", format!("{object:#}")),
        ("one-line.json", object.to_string()),
        ("list.json", list.to_string()),
        ("values.yaml", format!("sealedSecrets:\n  encryptedData:\n{plain}")),
        ("folded.yaml", format!("kind: SealedSecret\nspec:\n  encryptedData:\n{folded}")),
        ("templates/sealed.yaml", format!("{{{{- if .Values.x }}}}\n{text}{{{{- end }}}}\n")),
        ("README.md", format!("# Sealed\n\n```yaml\n{text}```\n")),
        ("sealed.env", env),
    ]
}

type Add<'a> = &'a mut dyn FnMut(&str, String);

fn encrypted(dice: &mut Dice, add: Add<'_>) {
    let mut enc = |kind: &str, size: usize| {
        let (data, iv, tag) = (base64(bytes(dice, size)), base64(bytes(dice, 32)), base64(bytes(dice, 16)));
        format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]")
    };
    let (one, two, mac) = (enc("str", 24), enc("str", 40), enc("str", 128));
    let age =
        pem("AGE ENCRYPTED FILE", &[b"age-encryption.org/v1\n-> X25519 abc\n".to_vec(), bytes(dice, 200)].concat());
    let meta = format!(
        "sops:\n  age:\n  - recipient: age1{}\n    enc: |\n{}  mac: {mac}\n",
        fill(dice, "{58:x}"),
        indented(&age, 6)
    );
    add(
        "secret.sops.yaml",
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData:\n  password: {one}\n  token: {two}\n{meta}"
        ),
    );
    add("values.sops.yaml", format!("db:\n  password: {one}\n  apiKey: {two}\n{meta}"));
    add(
        "secret.sops.json",
        format!("{{\"kind\": \"Secret\", \"data\": {{\"password\": \"{one}\"}}, \"sops\": {{\"mac\": \"{mac}\"}}}}"),
    );
    add("sops.env", format!("DB_PASSWORD={one}\nAPI_TOKEN={two}\nsops_mac={mac}\nsops_version=3.9.0\n"));
    add("backup.age", age);
    add("message.asc", pem("PGP MESSAGE", &bytes(dice, 400)));
    add(
        "vault.yml",
        format!(
            "password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n{}",
            indented(&fill(dice, "{80:d}\n{80:d}\n{80:d}"), 2)
        ),
    );
    add(
        "application.yml",
        format!(
            "spring:\n  datasource:\n    password: '{{cipher}}{}'\n    secret: ENC({})\n",
            fill(dice, "{64:h}"),
            base64(bytes(dice, 32))
        ),
    );
    add(
        "transit.tf",
        format!("secret = \"vault:v1:{}\"\ntoken = \"AQICAH{}\"\n", base64(bytes(dice, 60)), fill(dice, "{90:a}")),
    );
    add("openssl.txt", format!("password: U2FsdGVkX1{}\n", fill(dice, "{60:a}")));
}

fn public(dice: &mut Dice, at: usize, add: Add<'_>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec![format!("shop{at}.net")]).unwrap().self_signed(&key).unwrap().pem();
    add("ca.crt", certificate.clone());
    add("ca.yaml", format!("caBundle: {}\nca: |\n{}", base64(&certificate), indented(&certificate, 2)));
    add(
        "tls.yaml",
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: ca}}\ndata:\n  ca.crt: {}\n", base64(&certificate)),
    );
    add("key.pub", pem("PUBLIC KEY", &[&[0x30, 0x59][..], &bytes(dice, 89)].concat()));
    add("id.pub", format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} ada@shop.net\n", fill(dice, "{43:6}")));
    add("known_hosts", format!("github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}\n", fill(dice, "{43:6}")));
    add("recipients.txt", format!("# ours\nage1{}\nage1pq1{}\n", fill(dice, "{58:x}"), fill(dice, "{1900:x}")));
    add(".bulla.yaml", format!("version: 1\nrules:\n- path: '**'\n  recipients: [age1{}]\n", fill(dice, "{58:x}")));
    add("key.asc", pem("PGP PUBLIC KEY BLOCK", &[&[0x99, 0x01][..], &bytes(dice, 500)].concat()));
    add("request.csr", pem("CERTIFICATE REQUEST", &bytes(dice, 400)));
    add(
        "image.svg",
        format!("<svg><image href=\"data:image/png;base64,iVBORw0KGgo{}\"/></svg>\n", fill(dice, "{600:6}")),
    );
    add(
        "example.md",
        format!(
            "A token looks like `{}`.\n",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
        ),
    );
    add(
        "supabase.ts",
        format!("export const ANON_KEY = '{}';\n", jwt(dice, r#"{"iss":"supabase","ref":"abc","role":"anon"}"#)),
    );
}

fn hashes(dice: &mut Dice, add: Add<'_>) {
    let integrity = |dice: &mut Dice| format!("sha512-{}", base64(bytes(dice, 64)));
    let lock: String = (0..40)
        .map(|number| {
            let names = ["js-tokens", "password-prompt", "secret-stack", "token-types", "api-key-store"];
            format!("    \"node_modules/{}-{number}\": {{\n      \"version\": \"4.{number}.0\",\n      \"integrity\": \"{}\"\n    }},\n", names[number % 5], integrity(dice))
        })
        .collect();
    add("package-lock.json", format!("{{\n  \"packages\": {{\n{lock}    \"x\": {{}}\n  }}\n}}\n"));
    let yarn: String = (0..40).map(|number| format!("token-types@^{number}.0.0:\n  version \"{number}.2.1\"\n  resolved \"https://registry.yarnpkg.com/t/-/t-{number}.tgz#{}\"\n  integrity {}\n\n", fill(dice, "{40:h}"), integrity(dice))).collect();
    add("yarn.lock", yarn);
    let cargo: String = (0..40)
        .map(|number| {
            format!(
                "[[package]]\nname = \"secret-{number}\"\nversion = \"0.{number}.0\"\nchecksum = \"{}\"\n\n",
                fill(dice, "{64:h}")
            )
        })
        .collect();
    add("Cargo.lock", cargo);
    let sums: String = (0..40)
        .map(|number| format!("github.com/x/token-{number} v1.{number}.0 h1:{}\n", base64(bytes(dice, 32))))
        .collect();
    add("go.sum", sums);
    let ids: String = (0..20)
        .map(|number| {
            format!(
                "- id: {}\n  digest: sha256:{}\n  commit: {}\n  n: {number}\n",
                fill(dice, "{8:h}-{4:h}-4{3:h}-a{3:h}-{12:h}"),
                fill(dice, "{64:h}"),
                fill(dice, "{40:h}")
            )
        })
        .collect();
    add("ids.yaml", ids);
    add(
        "image.yaml",
        format!(
            "image: ghcr.io/shop/app@sha256:{}\ntokenId: {}\n",
            fill(dice, "{64:h}"),
            fill(dice, "{8:h}-{4:h}-4{3:h}-a{3:h}-{12:h}")
        ),
    );
    add(
        "argocd.yaml",
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: argocd-secret}}\nstringData:\n  admin.password: \"$2a$10${}\"\n",
            fill(dice, "{53:a}")
        ),
    );
    add("fake.env", format!("GITHUB_TOKEN=ghp_{}\nNPM_TOKEN=npm_{}\n", fill(dice, "{36:a}"), fill(dice, "{36:a}")));
    add("random.txt", format!("{}\n{}\n", fill(dice, "{200:6}"), fill(dice, "{64:h}")));
    add(
        "trace.log",
        format!("2026-11-21 request {} took 12 ms, session {}\n", fill(dice, "{32:h}"), fill(dice, "{8:h}")),
    );
}

fn code(dice: &mut Dice, add: Add<'_>) {
    let id = fill(dice, "{8:l}{3:d}");
    add(
        "login.ts",
        format!(
            "const password = form.get('{id}');\nconst token = await login(user, password, {{ key: \"{id}\" }});\nif (token === 'expired') {{ secret = tokens['{id}'] }}\n"
        ),
    );
    add(
        "vars.tf",
        format!(
            "variable \"db_password\" {{ sensitive = true }}\nresource \"x\" \"{id}\" {{ password = var.db_password\n  secret = data.vault.{id}.data[\"secret\"] }}\n"
        ),
    );
    add(
        "ci.yml",
        format!(
            "env:\n  TOKEN: ${{{{ secrets.{} }}}}\n  DB_PASSWORD: ${{DB_PASSWORD}}\n  API_KEY: $API_KEY_{}\n",
            id.to_uppercase(),
            id.to_uppercase()
        ),
    );
    add(
        "Main.java",
        format!(
            "String password = System.getenv(\"{id}\");\nprivate static final String TOKEN_HEADER = \"X-{id}-Token\";\n"
        ),
    );
    add("minified.js", format!("!function(e){{var token=e.t1,password=e.p2,secret=n(42),k={{token:t,secret:\"{id}\"}};passport.use(k)}}(x{id});").repeat(50));
}

const PLACEHOLDERS: [(&str, &str); 20] = [
    (
        "commands.md",
        "kubectl create secret generic db --from-literal=password=$PASSWORD --from-literal=token=my-secret-token\nkubectl create secret docker-registry r --docker-password=<password>\n",
    ),
    (
        "declarative.md",
        "```yaml\nkind: Secret\nmetadata:\n  name: repo\nstringData:\n  # Optional: the password1 of the user\n  githubAppID: 1\n  project: my-project\n  shard: \"2\"\n  key: JSON_FILE_BASE64_ENCODED\n  config: |\n    {\"bearerToken\": \"<authentication token>\"}\n  tls: |\n    -----BEGIN RSA PRIVATE KEY-----\n    ...\n    -----END RSA PRIVATE KEY-----\n```\n",
    ),
    ("concatenated.go", "s := `{\"kind\":\"Secret\",\"data\":{\"password\":\"` + encode(x) + `\"}}`\n"),
    (
        "push.yaml",
        "kind: PushSecret\nspec:\n  data:\n  - match:\n      secretKey: MY_K8S_SECRET_KEY\n      remoteRef: {remoteKey: remote-secret-1}\n",
    ),
    (
        "secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData:\n  username: admin\n  password: changeme\n  token: <your-token>\n  key: xxxxxxxxxxxx\n",
    ),
    (
        "secret.example.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata:\n  password: Y2hhbmdlbWU=\n  user: YWRtaW4=\n  empty: \"\"\n",
    ),
    (
        ".env.example",
        "DB_PASSWORD=\nAPI_KEY=your-api-key-here\nTOKEN=<token>\nSECRET_KEY=replace-me-with-something-long-1234\nJWT_SECRET=xxxxxxxxxxxxxxxx\n",
    ),
    (
        "README.md",
        "Connect with `postgres://user:password@localhost:5432/db` or `https://user:pass@example.com/`,\nor `redis://:${PASSWORD}@cache:6379`, `amqp://guest:guest@rabbit/`.\n",
    ),
    (
        "aws.md",
        "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
    ),
    (
        "docs.md",
        "Export `GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` and `SLACK=xoxb-your-token`.\nVault: `hvs.xxxxxxxxxxxxxxxxxxxxxxxx`, Stripe `sk_test_xxxxxxxxxxxxxxxxxxxxxxxx`.\n",
    ),
    ("key.md", "```\n-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n```\n"),
    (
        "values.yaml",
        "auth:\n  password: \"\"\n  existingSecret: my-secret-1\n  secretKey: password\n  tokenSecretRef: {name: a, key: b}\n",
    ),
    (".netrc", "machine example.com\nlogin ada\npassword changeme\n"),
    ("docker.json", "{\"auths\": {\"ghcr.io\": {\"auth\": \"dXNlcjpwYXNzd29yZA==\"}}}\n"),
    (
        "kustomization.yaml",
        "secretGenerator:\n- name: db\n  literals: [password=changeme, token=]\n  files: [tls.key]\n",
    ),
    ("age.md", "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ\nAGE-SECRET-KEY-1...\n"),
    ("helm.md", "helm install --set auth.password=$PASSWORD --set token=\"$(cat token)\" x\n"),
    ("kubeadm.yaml", "bootstrapTokens:\n- token: abcdef.0123456789abcdef\n"),
    (
        "test.properties",
        "spring.datasource.password=postgres\nspring.security.user.password=password123\nkey.store.password=changeit\n",
    ),
    (
        "vault.hcl",
        "token = \"s.xxxxxxxxxxxxxxxx\"\npassword = \"op://vault/db/password\"\nsecret = \"ref+vault://secret/data/x#/y1\"\n",
    ),
];

const MANIFESTS: [(&str, &str); 14] = [
    ("rbac.yaml", "kind: Role\nrules:\n- apiGroups: [\"\"]\n  resources: [secrets]\n  verbs: [get]\n"),
    (
        "deployment.yaml",
        "kind: Deployment\nspec:\n  containers:\n  - env:\n    - name: DB_PASSWORD\n      valueFrom:\n        secretKeyRef: {name: db, key: password}\n    - name: TOKEN_FILE\n      value: /var/run/secrets/token1\n",
    ),
    (
        "external.yaml",
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nspec:\n  secretStoreRef: {name: vault, kind: SecretStore}\n  target:\n    template:\n      data:\n        password: '{{ .password }}'\n        config: |\n          url: {{ .url }}\n          secret: {{ .secret }}\n  data:\n  - secretKey: password\n    remoteRef: {key: prod/db-1, property: password}\n",
    ),
    (
        "store.yaml",
        "kind: SecretStore\nspec:\n  provider:\n    aws:\n      auth:\n        secretRef:\n          accessKeyIDSecretRef: {name: aws, key: access-key}\n          secretAccessKeySecretRef: {name: aws, key: secret-access-key}\n",
    ),
    ("patch.yaml", "- target: {kind: Secret, name: db-1}\n  patch: |-\n    - op: remove\n      path: /data/password\n"),
    (
        "source.yaml",
        "kind: HelmRelease\nspec:\n  valuesFrom:\n  - kind: Secret\n    name: app-values-1\n    valuesKey: password\n",
    ),
    (
        "empty.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: token\n  annotations: {kubernetes.io/service-account.name: app}\ntype: kubernetes.io/service-account-token\n",
    ),
    (
        "argocd-repo.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: repo\n  labels: {argocd.argoproj.io/secret-type: repository}\nstringData:\n  type: git\n  url: https://github.com/shop/deploy.git\n  project: default\n",
    ),
    (
        "templates/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  {{- range $key, $value := .Values.secrets }}\n  {{ $key }}: {{ $value | b64enc | quote }}\n  {{- end }}\n  password: {{ .Values.password | default (randAlphaNum 32) | b64enc }}\n",
    ),
    (
        "templates/tls.yaml",
        "kind: Secret\nmetadata: {name: x}\ndata:\n  tls.key: {{ $cert.Key | b64enc }}\n  conf: |-\n    {{- include \"x\" . | nindent 4 }}\n",
    ),
    (
        "crd.yaml",
        "kind: CustomResourceDefinition\nspec:\n  schema:\n    properties:\n      password: {type: string, description: The password1 of the user.}\n      kind: {type: string, default: Secret}\n      token:\n        type: string\n",
    ),
    (
        "policy.yaml",
        "kind: ClusterPolicy\nspec:\n  rules:\n  - match: {resources: {kinds: [Secret]}}\n    validate:\n      message: \"kind: Secret is not allowed\"\n",
    ),
    (
        "generate.yaml",
        "kind: Password\nspec:\n  length: 24\n  secretKeys: [password1]\n---\nkind: PushSecret\nspec:\n  data:\n  - match: {secretKey: token-1}\n",
    ),
    (
        "values.yaml",
        "image:\n  pullSecrets: [regcred-1]\nserviceAccountToken: {enabled: true}\npasswordPolicy: {minLength: 12}\ntokenTTL: 3600s\nsecretsProvider: vault-v2\n",
    ),
];

const CODE: [(&str, &str); 10] = [
    (
        "shapes.go",
        "var prefixes = []string{\"ghp_\", \"glpat-\", \"AKIA\", \"sk_live_\", \"xoxb-\", \"hvs.\", \"AGE-SECRET-KEY-1\"}\nvar re = regexp.MustCompile(`ghp_[A-Za-z0-9]{36}`)\n",
    ),
    (
        "pem.rs",
        "const BEGIN: &str = \"-----BEGIN PRIVATE KEY-----\";\nconst END: &str = \"-----END PRIVATE KEY-----\";\nlet is_key = text.contains(\"BEGIN RSA PRIVATE KEY-----\");\n",
    ),
    (
        "auth.py",
        "password = os.environ['DB_PASSWORD1']\ntoken = get_token(user, scope='read:all1')\napi_key = settings.API_KEY_V2\nassert password != 'Wrong1password'.lower()\n",
    ),
    (
        "form.html",
        "<input type=\"password\" name=\"password\" id=\"user-password-1\">\n<meta name=\"csrf-token\" content=\"k3J9sQp1Zx8wR5tY\">\n",
    ),
    (
        "i18n.json",
        "{\"password\": \"Passwort\", \"token\": \"Zugangsschluessel\", \"secret\": \"Geheimnis\", \"passwordHint\": \"At least 8 characters\"}\n",
    ),
    (
        "lexer.ts",
        "enum Token { Secret1 = 'TOKEN_SECRET_1', Password2 = 'TOKEN_PASSWORD_2' }\nconst nextToken = 'eyJrZXkiOiJ2YWx1ZSJ9MTIz';\n",
    ),
    (
        "hash.php",
        "$password = password_hash($input, PASSWORD_BCRYPT);\n$hash = '$2y$10$3euPcmQFCiblsZeEu5s7p.9OVHgeHWFDk9nhMqZ0m/3pd/lhwZgES';\n",
    ),
    (
        "urls.md",
        "See https://github.com/a/b, git@github.com:a/b.git, ssh://git@host:22/x, mailto:a@b.c, https://[::1]:8080/@scope/pkg.\n",
    ),
    (
        "schema.sql",
        "CREATE TABLE users (id uuid, password_hash text, token varchar(64), secret bytea);\nALTER USER app WITH PASSWORD :'password';\n",
    ),
    (
        "spring.yml",
        "management:\n  endpoint:\n    env: {keys-to-sanitize: 'password,secret,token'}\njwt:\n  token-validity: 86400\n  header: X-Auth-Token\n",
    ),
];

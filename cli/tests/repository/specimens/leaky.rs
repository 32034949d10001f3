//! Files with secrets, of every rule, in all kinds of places.

use bulla::seal::Identity;

use super::{Specimen, base64, bytes, checked, fill, indented, jwt, password, pem};
use crate::support::dice::Dice;

/// Rule and form of tokens.
const TOKENS: [(&str, &str); 75] = [
    ("cluster-token", "K10{64:h}::server:{32:h}"),
    ("cluster-token", "sha256~{43:w}"),
    ("cluster-token", "token-{5:x}:{54:x}"),
    ("aws-access-key", "AKIA{16:b}"),
    ("aws-access-key", "ASIA{16:b}"),
    ("google-api-key", "AIza{35:a}"),
    ("google-api-key", "GOCSPX-{28:a}"),
    (
        "azure-key",
        "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={86:6}==;EndpointSuffix=core.windows.net",
    ),
    ("azure-key", "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={43:6}="),
    ("azure-key", "{3:a}8Q~{34:a}"),
    ("azure-key", "{52:a}JQQJ99{1:a}C{16:a}k{7:a}"),
    ("azure-key", "https://shop.blob.core.windows.net/a?sv=2024-11-04&ss=b&sig={43:a}%3D"),
    ("alibaba-access-key", "LTAI{20:a}"),
    ("digitalocean-token", "dop_v1_{64:h}"),
    ("cloudflare-key", "v1.0-{24:h}-{146:h}"),
    ("tailscale-key", "tskey-auth-{11:a}CNTRL-{33:a}"),
    ("terraform-token", "{14:a}.atlasv1.{67:a}"),
    ("pulumi-token", "pul-{40:h}"),
    ("heroku-key", "HRKU-AA{58:a}"),
    ("fly-token", "fo1_{43:a}"),
    ("netlify-token", "nfp_{36:a}"),
    ("databricks-token", "dapi{32:h}"),
    ("github-token", "github_pat_{22:a}_{59:a}"),
    ("gitlab-token", "glpat-{20:a}"),
    ("gitlab-token", "glrt-t1_{20:a}"),
    ("gitlab-token", "gldt-{20:a}"),
    ("gitlab-token", "GR1348941{20:a}"),
    ("atlassian-token", "ATATT3xFfGF0{172:a}={7:H}"),
    ("atlassian-token", "ATBB{24:a}{8:H}"),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc{90:a}"),
    ("package-token", "rubygems_{48:h}"),
    ("package-token", "oy2{43:x}"),
    ("package-token", "dckr_pat_{27:a}"),
    ("package-token", "AKCp{69:a}"),
    ("package-token", "cmVmdGtu{56:a}"),
    ("package-token", "CLOJARS_{60:x}"),
    ("ci-token", "CCIPAT_{22:a}_{40:h}"),
    ("ci-token", "bkua_{40:x}"),
    ("ci-token", "squ_{40:h}"),
    ("vault-token", "hvs.{90:a}"),
    ("vault-token", "hvb.{130:a}"),
    ("secrets-manager-token", "dp.pt.{43:a}"),
    ("secrets-manager-token", "dp.st.prd.{43:a}"),
    ("secrets-manager-token", "ops_eyJ{300:a}"),
    ("slack-token", "xoxb-{12:d}-{12:d}-{24:a}"),
    ("slack-token", "xoxp-{12:d}-{12:d}-{12:d}-{32:h}"),
    ("slack-token", "xapp-1-A{10:U}-{13:d}-{64:h}"),
    ("slack-token", "https://hooks.slack.com/services/T{9:U}/B{10:U}/{24:a}"),
    ("chat-token", "https://discord.com/api/webhooks/1{17:d}/{68:a}"),
    ("chat-token", "7{9:d}:AA{33:a}"),
    ("stripe-key", "sk_live_{24:a}"),
    ("stripe-key", "rk_live_{99:a}"),
    ("stripe-key", "sk_test_{24:a}"),
    ("stripe-key", "whsec_{32:a}"),
    ("commerce-token", "shpat_{32:h}"),
    ("commerce-token", "sq0csp-{43:a}"),
    ("mail-key", "SG.{22:a}.{43:a}"),
    ("mail-key", "{32:h}-us12"),
    ("mail-key", "key-{32:h}"),
    ("mail-key", "xkeysib-{64:h}-{16:a}"),
    ("ai-key", "sk-proj-{20:a}T3BlbkFJ{20:a}"),
    ("ai-key", "sk-ant-api03-{93:a}AA"),
    ("ai-key", "hf_{34:L}"),
    ("ai-key", "gsk_{52:a}"),
    ("ai-key", "r8_{37:a}"),
    ("monitoring-key", "glsa_{32:a}_{8:h}"),
    ("monitoring-key", "NRAK-{27:U}"),
    ("monitoring-key", "dt0c01.{24:b}.{64:b}"),
    ("monitoring-key", "sntryu_{64:h}"),
    ("database-token", "pscale_tkn_{43:a}"),
    ("database-token", "sbp_{40:h}"),
    ("workspace-token", "lin_api_{40:a}"),
    ("workspace-token", "PMAK-{24:h}-{34:h}"),
    ("workspace-token", "ntn_{11:d}{35:a}"),
    ("monitoring-key", "glc_eyJ{80:a}"),
];

/// Places of tokens.
const PLACES: usize = 8;

/// Hundreds of files, each with one secret.
pub(crate) fn leaky(dice: &mut Dice) -> Vec<Specimen> {
    let mut all = Vec::new();
    let mut add = |rule: &'static str, file: &str, text: String, secrets: Vec<String>| {
        let (folder, name) = (all.len(), file);
        all.push(Specimen {
            file: format!("leaky/{folder}/{name}"),
            bytes: text.into_bytes(),
            rule: Some(rule),
            secrets,
        });
    };
    for (rule, form) in TOKENS {
        for at in 0..PLACES {
            let token = fill(dice, form);
            // Of a text around it, the secret is its longest word.
            let secret = token.split([' ', '=', '&', ';', '/', '?']).max_by_key(|part| part.len()).unwrap().to_owned();
            let (file, text) = place(&token, at);
            add(rule, file, text, vec![secret]);
        }
    }
    for at in 0..PLACES {
        for (rule, token) in [
            ("github-token", checked(dice, ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"][at % 5])),
            ("npm-token", checked(dice, "npm_")),
            ("jwt", jwt(dice, r#"{"iss":"https://id.shop.net","sub":"u17","exp":4102444800}"#)),
            ("jwt", jwt(dice, r#"{"iss":"https://id.shop.net","sub":"u17","exp":1600000000}"#)),
            (
                "service-account-token",
                jwt(dice, r#"{"iss":"kubernetes/serviceaccount","sub":"system:serviceaccount:prod:app"}"#),
            ),
        ] {
            let (file, text) = place(&token, at);
            add(rule, file, text, vec![token]);
        }
    }
    for at in 0..8 {
        keys(dice, at, &mut add);
        secrets(dice, at, &mut add);
        passwords(dice, at, &mut add);
    }
    for at in 0..8 {
        let begin: &[u8] = if at % 2 == 0 {
            &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1]
        } else {
            &[0x30, 0x82, 0x09, 0x70, 2, 1, 3, 0x30, 0x82]
        };
        let (file, bytes) = (format!("leaky/stores/{at}.p12"), [begin, &bytes(dice, 2400)].concat());
        all.push(Specimen { file, bytes, rule: Some("key-store"), secrets: Vec::new() });
    }
    all
}

/// A token in one of many kinds of files.
fn place(token: &str, at: usize) -> (&'static str, String) {
    match at {
        0 => ("app.env", format!("# settings\nMODE=production\nSERVICE={token}\nPORT=8080\n")),
        1 => (
            "values.yaml",
            format!("app:\n  replicas: 2\n  # given by the vendor\n  service: \"{token}\"\n  port: 8080\n"),
        ),
        2 => ("settings.json", format!("{{\"mode\": \"production\", \"service\": \"{token}\", \"port\": 8080}}\n")),
        3 => ("main.go", format!("package main\n\nvar service = \"{token}\" // from the vendor\n\nfunc main() {{}}\n")),
        4 => ("main.py", format!("import os\n\nSERVICE = '{token}'\nprint(os.environ['HOME'])\n")),
        5 => ("README.md", format!("# Setup\n\nUse `{token}` for now:\n\n1. start it\n")),
        6 => (
            "config.yaml",
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: app}}\nbinaryData:\n  a.conf: {}\n",
                base64(format!("mode = production\nservice = {token}\n"))
            ),
        ),
        _ => ("run.sh", format!("#!/bin/sh\ncurl -sf -H \"X-Service: {token}\" https://api.shop.net/v1/orders\n")),
    }
}

type Add<'a> = &'a mut dyn FnMut(&'static str, &str, String, Vec<String>);

fn keys(dice: &mut Dice, at: usize, add: Add<'_>) {
    let lines = |pem: &str| {
        pem.lines().filter(|line| line.len() > 40 && !line.contains("---")).map(str::to_owned).collect::<Vec<_>>()
    };
    let ec = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let ed = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let mut rsa = vec![0x30, 0x82, 0x04, 0xa4, 0x02, 0x01, 0x00];
    rsa.extend(bytes(dice, 1184));
    let rsa = pem("RSA PRIVATE KEY", &rsa);
    let mut ssh = b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none\0\0\0\0\0\0\0\x01".to_vec();
    ssh.extend(bytes(dice, 350));
    let ssh = pem("OPENSSH PRIVATE KEY", &ssh);
    let mut pgp = vec![0x95, 0x03, 0xc6];
    pgp.extend(bytes(dice, 900));
    let pgp = pem("PGP PRIVATE KEY BLOCK", &pgp).replacen("-----\n", "-----\nVersion: GnuPG v2\n\n", 1);
    for (name, key) in
        [("tls.key", &ec), ("id_ed25519.pem", &ed), ("server.key", &rsa), ("id_rsa", &ssh), ("backup.asc", &pgp)]
    {
        let escaped = key.replace('\n', "\\n");
        let (file, text) = match at {
            0 => (name, key.clone()),
            1 => (name, key.replace('\n', "\r\n")),
            2 => ("values.yaml", format!("tls:\n  key: |\n{}  enabled: true\n", indented(key, 4))),
            3 => ("key.json", format!("{{\"type\": \"x\", \"key\": \"{escaped}\"}}\n")),
            4 => ("kubeconfig", format!("users:\n- name: admin\n  user:\n    client-key-data: {}\n", base64(key))),
            5 => ("app.env", format!("KEY=\"{escaped}\"\n")),
            6 => ("Key.java", key.lines().map(|line| format!("    + \"{line}\\n\"\n")).collect()),
            _ => ("notes.md", format!("Some text.\n\n```\n{key}```\n")),
        };
        add("private-key", file, text, lines(key));
    }
    let account = format!(
        "{{\n  \"type\": \"service_account\",\n  \"project_id\": \"shop\",\n  \"private_key\": \"{}\"\n}}\n",
        ec.replace('\n', "\\n")
    );
    add("gcp-service-account", "account.json", account, lines(&ec));
    let mut locked = vec![0x30, 0x82, 0x04, 0xa4, 0x02, 0x01, 0x00];
    locked.extend(bytes(dice, 600));
    let locked = if at.is_multiple_of(2) {
        pem("ENCRYPTED PRIVATE KEY", &locked)
    } else {
        pem("RSA PRIVATE KEY", &locked).replacen(
            "-----\n",
            "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0011\n\n",
            1,
        )
    };
    add("locked-private-key", "locked.key", locked.clone(), lines(&locked));
    let identity =
        if at.is_multiple_of(2) { Identity::generate_x25519() } else { Identity::generate_hybrid() }.unwrap();
    let word = identity.to_text().unwrap().to_string();
    let file = identity.to_file_text(jiff::Timestamp::UNIX_EPOCH).unwrap().to_string();
    add("age-identity", "key.txt", file, vec![word.clone()]);
    add("age-identity", "ci.yaml", format!("env:\n  SOPS_AGE_KEY: {word}\n"), vec![word]);
    let key = base64(bytes(dice, 32));
    add(
        "wireguard-key",
        "wg0.conf",
        format!(
            "[Interface]\nPrivateKey = {key}\nAddress = 10.0.0.1/24\n\n[Peer]\nPublicKey = {}\n",
            base64(bytes(dice, 32))
        ),
        vec![key],
    );
}

fn secrets(dice: &mut Dice, at: usize, add: Add<'_>) {
    let secret = password(dice);
    let coded = base64(&secret);
    let meta = "metadata:\n  name: db\n  namespace: prod\n";
    let long: String = (0..60).map(|number| format!("  ca{number}.crt: \"\"\n")).collect();
    let json = format!(
        "{{\"apiVersion\":\"v1\",\"data\":{{\"password\":\"{coded}\"}},\"kind\":\"Secret\",\"metadata\":{{\"name\":\"db\",\"namespace\":\"prod\"}}}}"
    );
    let quoted = serde_json::to_string(&json).unwrap();
    let forms: [(&str, String); 24] = [
        ("secret.yaml", format!("apiVersion: v1\nkind: Secret\n{meta}data:\n  password: {coded}\n")),
        ("secret.yaml", format!("apiVersion: v1\nkind: Secret\n{meta}stringData:\n  password: \"{secret}\"\n")),
        ("secret.yaml", format!("data:\n{long}  password: {coded}\n{meta}kind: Secret\napiVersion: v1\n")),
        ("secret.json", json.clone()),
        ("dump.jsonl", format!("{json}\n{json}\n")),
        ("cut-off.json", json.replace("},\"kind\"", ", \"x\": \"\"},\"kind\"").trim_end_matches('}').to_owned()),
        (
            "list.yaml",
            format!(
                "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: db}}\n  stringData:\n    password: '{secret}'\n"
            ),
        ),
        (
            "all.yaml",
            format!(
                "kind: ConfigMap\napiVersion: v1\nmetadata: {{name: a}}\n---\nkind: Secret\napiVersion: v1\n{meta}data: {{password: {coded}}}\n---\nkind: Service\n"
            ),
        ),
        (
            "templates/secret.yaml",
            format!(
                "{{{{- if .Values.db }}}}\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {{{{ include \"x\" . }}}}-db\n  labels:\n    {{{{- include \"labels\" . | nindent 4 }}}}\ndata:\n  user: {{{{ .Values.user | b64enc }}}}\n  password: {coded}\n{{{{- end }}}}\n"
            ),
        ),
        (
            "templates/literal.yaml",
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{{{ .Release.Name }}}}\ndata:\n  password: {{{{ \"{secret}\" | b64enc | quote }}}}\n"
            ),
        ),
        (
            "broken.yaml",
            format!("apiVersion: v1\nkind: Secret\n{meta}  labels: [a, b\nstringData:\n  password: {secret}\n"),
        ),
        (
            "README.md",
            format!(
                "# Use\n\n```yaml\napiVersion: v1\nkind: Secret\n{meta}stringData:\n  password: {secret}\n```\n\nAnd so on.\n"
            ),
        ),
        (
            "apply.sh",
            format!(
                "#!/bin/sh\nkubectl apply -f - <<EOF\napiVersion: v1\nkind: Secret\n{meta}stringData:\n  password: {secret}\nEOF\n"
            ),
        ),
        (
            "old.yaml",
            format!(
                "# apiVersion: v1\n# kind: Secret\n# metadata:\n#   name: db\n# stringData:\n#   password: {secret}\nkind: ConfigMap\n"
            ),
        ),
        (
            "annotated.yaml",
            format!(
                "apiVersion: v1\nkind: SealedSecret\nmetadata:\n  name: db\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n      {json}\nspec: {{encryptedData: {{}}}}\n"
            ),
        ),
        (
            "annotated.json",
            format!(
                "{{\"kind\": \"ConfigMap\", \"metadata\": {{\"annotations\": {{\"kubectl.kubernetes.io/last-applied-configuration\": {quoted}}}}}}}"
            ),
        ),
        (
            "configmap.yaml",
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: manifests}}\ndata:\n  secret.yaml: |\n    apiVersion: v1\n    kind: Secret\n    metadata:\n      name: db\n    stringData:\n      password: \"{secret}\"\n"
            ),
        ),
        (
            "values.yaml",
            format!(
                "extraObjects:\n  - apiVersion: v1\n    kind: Secret\n    metadata:\n      name: db\n    stringData:\n      password: \"{secret}\"\n"
            ),
        ),
        (
            "windows.yaml",
            format!("apiVersion: v1\r\nkind: Secret\r\nmetadata:\r\n  name: db\r\ndata:\r\n  password: {coded}\r\n"),
        ),
        ("folded.yaml", format!("apiVersion: v1\nkind: Secret\n{meta}data:\n  password: >-\n    {coded}\n")),
        (
            "docker.yaml",
            format!(
                "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/dockerconfigjson\n{meta}data:\n  .dockerconfigjson: {}\n",
                base64(format!("{{\"auths\":{{\"ghcr.io\":{{\"username\":\"bot\",\"password\":\"{secret}\"}}}}}}"))
            ),
        ),
        (
            "sops-left.yaml",
            format!(
                "apiVersion: v1\nkind: Secret\n{meta}stringData:\n  user: ENC[AES256_GCM,data:abc=,iv:def=,tag:ghi=,type:str]\n  password: \"{secret}\"\nsops:\n  mac: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\n"
            ),
        ),
        (
            "flow.yaml",
            format!(
                "{{apiVersion: v1, kind: Secret, metadata: {{name: db}}, stringData: {{password: \"{secret}\"}}}}\n"
            ),
        ),
        (
            "list.json",
            format!(
                "{{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"SecretList\",\n  \"items\": [\n    {json}\n  ]\n}}\n"
            ),
        ),
    ];
    let embedded: [(&str, String); 11] = [
        (
            "main.jsonnet",
            format!(
                "local k = import 'k';\n{{\n  kind: 'Secret',\n  metadata: {{ name: 'db' }},\n  stringData: {{ password: '{secret}' }},\n}} + k\n"
            ),
        ),
        (
            "body.py",
            format!(
                "body = {{\"kind\": \"Secret\", \"metadata\": {{\"name\": n}}, \"stringData\": {{\"password\": \"{secret}\"}}}}\n"
            ),
        ),
        (
            "body.js",
            format!(
                "const body = \"{{\\\"kind\\\":\\\"Secret\\\",\\\"data\\\":{{\\\"password\\\":\\\"{coded}\\\"}}}}\";\n"
            ),
        ),
        (
            "main_test.go",
            format!("var y = `\napiVersion: v1\nkind: Secret\n{meta}stringData:\n  password: {secret}\n`\n"),
        ),
        (
            "main.tf",
            format!(
                "resource \"x\" \"y\" {{\n  yaml_body = <<-YAML\n    kind: Secret\n    metadata:\n      name: db\n    stringData:\n      password: {secret}\n  YAML\n}}\n"
            ),
        ),
        (
            "make.ps1",
            format!("$json = @\"\n{{\"kind\": \"Secret\", \"stringData\": {{\"password\": \"{secret}\"}}}}\n\"@\n"),
        ),
        (
            "playbook.yml",
            format!(
                "- kubernetes.core.k8s:\n    definition:\n      kind: Secret\n      data:\n        password: \"{{{{ '{secret}' | b64encode }}}}\"\n"
            ),
        ),
        (
            "text.yaml",
            format!("data:\n  manifest: \"apiVersion: v1\\nkind: Secret\\nstringData:\\n  password: {secret}\\n\"\n"),
        ),
        (
            "coded.yaml",
            format!(
                "content: {}\n",
                base64(format!("apiVersion: v1\nkind: Secret\n{meta}stringData:\n  password: {secret}\n"))
            ),
        ),
        (
            "alias.yaml",
            format!("items:\n- kind: ConfigMap\n  x: &d {{password: {coded}}}\n- kind: Secret\n  data: *d\n"),
        ),
        (
            "application.yaml",
            format!(
                "kind: Application\nspec:\n  source:\n    helm:\n      values: |\n        extra:\n          - kind: Secret\n            stringData:\n              password: {secret}\n"
            ),
        ),
    ];
    let file = |name: &str| if at.is_multiple_of(2) { name.to_owned() } else { format!("deep/er/{name}") };
    for (name, text) in forms.into_iter().chain(embedded) {
        add("plain-secret", &file(name), text, vec![secret.clone(), coded.clone()]);
    }
    let generator = format!(
        "resources: [a.yaml]\nsecretGenerator:\n- name: db\n  literals:\n  - user=app\n  - password={secret}\n"
    );
    add("generated-secret", "kustomization.yaml", generator.clone(), vec![secret.clone()]);
    add("generated-secret", "kustomization.yaml", format!("{generator}patches: [a: b\n"), vec![secret.clone()]);
    let command =
        format!("kubectl create secret generic db --from-literal=user=app --from-literal=password={secret}\n");
    add("generated-secret", "create.sh", command, vec![secret.clone()]);
    let template = format!(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db}}\nspec:\n  encryptedData: {{}}\n  template:\n    data:\n      host: db.prod\n      password: \"{secret}\"\n"
    );
    add("plain-template", "sealed.yaml", template, vec![secret.clone()]);
    let external = format!(
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: db}}\nspec:\n  target:\n    template:\n      data:\n        user: '{{{{ .user }}}}'\n        password: \"{secret}\"\n"
    );
    add("plain-template", "external.yaml", external, vec![secret]);
}

fn passwords(dice: &mut Dice, at: usize, add: Add<'_>) {
    let plain = fill(dice, "{4:a}{3:d}{9:a}x7Q");
    let scheme = ["postgres", "mysql", "mongodb+srv", "redis", "amqps", "https", "postgresql", "mssql"][at];
    let url = format!("{scheme}://shop:{plain}@db-{at}.internal.net:5432/shop?tls=true");
    add("url-password", "app.env", format!("DATABASE_URL={url}\n"), vec![plain.clone()]);
    add("url-password", "config.py", format!("DATABASE = '{url}'\n"), vec![plain.clone()]);
    add("login-file", ".netrc", format!("machine git.shop.net\nlogin bot\npassword {plain}\n"), vec![plain.clone()]);
    add("login-file", ".pgpass", format!("# ours\ndb.shop.net:5432:*:shop:{plain}\n"), vec![plain.clone()]);
    let auth = base64(format!("bot:{plain}"));
    add(
        "registry-password",
        "config.json",
        format!("{{\n  \"auths\": {{\n    \"ghcr.io\": {{\"auth\": \"{auth}\"}}\n  }}\n}}\n"),
        vec![auth, plain.clone()],
    );
    let hash = match at % 3 {
        0 => fill(dice, "$apr1${8:a}${22:a}"),
        1 => format!("{{SHA}}{}", base64(bytes(dice, 20))),
        _ => fill(dice, "$2y$05${53:a}"),
    };
    add("password-hash", ".htpasswd", format!("ada:{hash}\n"), vec![hash]);
    let aws = fill(dice, "{19:a}/{19:a}+");
    let text = if at.is_multiple_of(2) {
        format!("[default]\naws_secret_access_key = {aws}\n")
    } else {
        format!("{{\"SecretAccessKey\": \"{aws}\"}}\n")
    };
    add("aws-secret-key", ["credentials", "keys.json"][at % 2], text, vec![aws]);
    let join = fill(dice, "{6:x}.{15:x}7");
    add("cluster-token", "join.yaml", format!("discovery:\n  bootstrapToken:\n    token: {join}\n"), vec![join]);
    let legacy = fill(dice, "{8:h}-{4:h}-{4:h}-{4:h}-{12:h}");
    add("npm-token", ".npmrc", format!("//registry.shop.net/:_authToken={legacy}\n"), vec![legacy]);
    let word = password(dice);
    let token = fill(dice, "{32:a}");
    let forms = [
        ("values.yaml", format!("db:\n  host: db.prod\n  password: \"{word}\"\n"), &word),
        ("app.env", format!("SMTP_PASSWORD={token}\n"), &token),
        ("app.properties", format!("spring.datasource.password={token}\n"), &token),
        ("main.go", format!("const apiKey = \"{token}\"\n"), &token),
        ("settings.py", format!("SECRET_KEY = '{word}'\n"), &word),
        ("config.js", format!("module.exports = {{ clientSecret: '{token}' }};\n"), &token),
        (
            "deployment.yaml",
            format!(
                "kind: Deployment\nspec:\n  containers:\n  - env:\n    - name: DB_PASSWORD\n      value: \"{word}\"\n"
            ),
            &word,
        ),
        ("config.toml", format!("[db]\npassword = \"{word}\"\n"), &word),
        ("web.config", format!("<add><password>{token}</password></add>\n"), &token),
        ("run.sh", format!("mysql --host db --password={token} shop\n"), &token),
        ("Dockerfile", format!("FROM x\nENV API_TOKEN={token}\n"), &token),
        ("main.tf", format!("resource \"x\" \"y\" {{\n  master_password = \"{token}\"\n}}\n"), &token),
    ];
    for (file, text, secret) in forms {
        add("generic-secret", file, text, vec![secret.clone()]);
    }
}

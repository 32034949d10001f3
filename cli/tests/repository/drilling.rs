//! `bulla drill`: real histories, and what is in the safe.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::Scope;
use serde_json::Value;

use crate::checkout::{Checkout, Key, manifest, put};
use crate::harness::Run;
use crate::support::tools;

const CANARY: &str = "canary-hunter2";

/// A repository that was sealed to one key first, and to another since.
struct Vault {
    checkout: Checkout,
    old: Key,
    new: Key,
    /// The commits: sealed to the old key; the other file; sealed again.
    commits: Vec<String>,
}

fn values(key: &Key, object: &str, day: &str) -> String {
    let value = |name: &str| format!("{name}: {}\n", key.seal_for(Scope::Strict, object, name, CANARY, day));
    manifest(object, &(value("password") + &value("user")))
}

impl Vault {
    /// `db.yaml` is sealed to the old key in the first commit and to the new one in the third; `api.yaml`, of the
    /// second, is sealed to the new key from the beginning.
    fn rotated() -> Self {
        let vault = Self { checkout: Checkout::plain(), old: Key::new(), new: Key::new(), commits: Vec::new() };
        vault.key("old.key", &vault.old);
        vault.key("new.key", &vault.new);
        let mut vault = vault;
        vault.commit("clusters/prod/db.yaml", &values(&vault.old, "prod/db", "2026-01-02"));
        vault.commit("clusters/prod/api.yaml", &values(&vault.new, "prod/api", "2026-02-03"));
        vault.commit("clusters/prod/db.yaml", &values(&vault.new, "prod/db", "2026-03-04"));
        vault
    }

    fn key(&self, name: &str, key: &Key) {
        self.checkout.bench.write(name, &format!("{}\n", key.text));
    }

    fn commit(&mut self, path: &str, text: &str) {
        self.checkout.commit(path, text);
        self.commits.push(self.head());
    }

    fn commit_bytes(&self, path: &str, bytes: &[u8]) {
        let file = self.checkout.path(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        put(&file, bytes);
        self.checkout.git(&["add", path]).exits(0);
        self.checkout.git(&["commit", "-qm", path]).exits(0);
    }

    fn head(&self) -> String {
        self.checkout.git(&["rev-parse", "HEAD"]).exits(0).out.trim().to_owned()
    }

    fn drill(&self, identities: &[&str], more: &[&str]) -> Run {
        self.drill_at(".", identities, more)
    }

    fn drill_at(&self, repository: &str, identities: &[&str], more: &[&str]) -> Run {
        let files: Vec<String> =
            identities.iter().map(|name| self.checkout.bench.path(name).display().to_string()).collect();
        let mut arguments = vec!["drill", repository];
        files.iter().for_each(|file| arguments.extend(["-i", file]));
        let run = self.checkout.bulla(&[&arguments, more].concat());
        assert!(!run.out.contains("canary") && !run.err.contains("canary"), "{}\n{}", run.out, run.err);
        assert!(!run.out.contains('\u{1b}') && !run.err.contains('\u{1b}'));
        run
    }

    fn told(&self, identities: &[&str], more: &[&str], code: i32) -> Value {
        let run = self.drill(identities, &[more, &["--output", "json"]].concat()).exits(code);
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}", run.out))
    }
}

fn id(key: &Key) -> String {
    key.identity.key_id().to_string()
}

#[test]
fn with_every_key_every_value_of_every_commit_opens() {
    let vault = Vault::rotated();
    let run = vault.drill(&["old.key", "new.key"], &[]).exits(0);
    assert!(run.out.starts_with("Every value of every commit opens.\n"), "{}", run.out);
    assert!(run.out.contains("4 of 4 values open, in 2 SealedSecrets in 2 files"), "{}", run.out);
    assert!(run.out.contains("6 of 6 different values open, in 3 versions of files in 3 commits"), "{}", run.out);
    assert!(run.out.contains("a rebuild: opening took 0."), "{}", run.out);

    let path = vault.checkout.bench.path("report.json").display().to_string();
    let told = vault.told(&["old.key", "new.key"], &["--report", &path], 0);
    assert_eq!(told, serde_json::from_str::<Value>(&vault.checkout.bench.read("report.json")).unwrap());
    assert_eq!(
        (&told["verdict"], &told["commit"], &told["lost"]),
        (&"opens".into(), &vault.head().into(), &Value::Array(Vec::new()))
    );
    let opened: Vec<(&str, u64)> = told["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["id"].as_str().unwrap(), key["values"].as_u64().unwrap()))
        .collect();
    assert_eq!(opened, [(id(&vault.old).as_str(), 2), (id(&vault.new).as_str(), 4)]);
}

#[test]
fn a_key_that_is_missing_is_named_with_the_commits_that_cannot_be_gone_back_to() {
    let vault = Vault::rotated();
    let run = vault.drill(&["new.key"], &[]).exits(1).says("2 value(s) do not come back");
    let [first, _, third] = vault.commits.as_slice() else { panic!("three commits") };
    for part in [
        "Every value of the newest commit opens; 2 value(s) of older commits do not".to_owned(),
        format!(
            "key {} is missing: 2 values, 0 in the newest commit; sealed 2026-01-02; since commit {}",
            id(&vault.old),
            &first[..10]
        ),
        format!("clusters/prod/db.yaml  prod/db password, user  from {}", &first[..10]),
        format!("until {}", &third[..10]),
    ] {
        assert!(run.out.contains(&part), "{part:?} in\n{}", run.out);
    }
    // Told, but no failure; and not looked at.
    assert!(vault.drill(&["new.key"], &["--history", "warn"]).exits(0).out.contains("is missing"));
    let run = vault.drill(&["new.key"], &["--history", "none"]).exits(0);
    assert!(
        run.out.starts_with("Every value of the newest commit opens.\n") && !run.out.contains("missing"),
        "{}",
        run.out
    );
    // A release that may not be gone back to, and one that may.
    let told = vault.told(&["new.key"], &["--rev", first, "--history", "none"], 1);
    assert_eq!((&told["verdict"], &told["lost"][0]["inNewest"]), (&"lost".into(), &2.into()));
    assert_eq!(told["lost"][0]["keys"], serde_json::json!([id(&vault.old)]));
    vault.drill(&["old.key"], &["--rev", first]).exits(0);
    // The wrong key altogether.
    let run = vault.drill(&["old.key"], &[]).exits(1);
    assert!(run.out.starts_with("4 value(s) of the newest commit do not open, 4 in all.\n"), "{}", run.out);
    assert!(run.out.contains("still there"), "{}", run.out);
}

#[test]
fn git_revert_is_safe_while_the_old_key_is_there_and_named_when_it_is_not() {
    let vault = Vault::rotated();
    let third = &vault.commits[2];
    vault.checkout.git(&["revert", "--no-edit", third]).exits(0);
    vault.drill(&["old.key", "new.key"], &[]).exits(0);
    let told = vault.told(&["new.key"], &[], 1);
    let file = &told["lost"][0]["files"][0];
    let brought: Vec<&str> =
        file["commits"].as_array().unwrap().iter().map(|one| one["commit"].as_str().unwrap()).collect();
    assert_eq!(brought, [vault.commits[0].as_str(), vault.head().as_str()], "first, and brought back");
    assert_eq!((&file["inNewest"], &file["until"]), (&true.into(), &Value::Null));
    // Reverting the revert heals the newest commit.
    vault.checkout.git(&["revert", "--no-edit", "HEAD"]).exits(0);
    assert_eq!(vault.told(&["new.key"], &[], 1)["verdict"], "newestOpens");
}

#[test]
fn a_value_that_was_damaged_in_an_old_commit_or_is_out_of_place_is_found() {
    let mut vault = Vault::rotated();
    let whole = vault.checkout.read("clusters/prod/db.yaml");
    // One letter of the payload, in the middle of the history.
    let line = whole.lines().find(|line| line.contains("password:")).unwrap();
    let (key, sealed) = line.split_once(": ").unwrap();
    let mut bytes = STANDARD.decode(sealed).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    vault.commit("clusters/prod/db.yaml", &whole.replace(line, &format!("{key}: {}", STANDARD.encode(bytes))));
    vault.commit("clusters/prod/db.yaml", &whole);
    let keys = ["old.key", "new.key"];
    let told = vault.told(&keys, &[], 1);
    let loss = &told["lost"][0];
    assert_eq!(
        (&told["verdict"], &loss["reason"], &loss["values"]),
        (&"newestOpens".into(), &"Corrupt".into(), &1.into())
    );
    assert_eq!(loss["first"]["commit"], vault.commits[3]);
    assert_eq!(loss["files"][0]["until"]["commit"], vault.commits[4]);
    assert_eq!(loss["files"][0]["values"], serde_json::json!([{"object": "prod/db", "key": "password"}]));

    vault.commit("clusters/prod/copy.yaml", &whole.replace("name: db", "name: copy"));
    vault.commit("clusters/prod/torn.yaml", "kind: SealedSecret\nspec: {encryptedData: {a: b\n");
    let run = vault.drill(&keys, &[]).exits(1);
    assert!(run.out.contains("was sealed for another place than the one where it stands"), "{}", run.out);
    assert!(run.out.contains("is in a file that is neither YAML nor JSON"), "{}", run.out);
}

#[test]
fn values_of_the_real_kubeseal_open_with_its_keys_also_where_rules_say_the_namespace() {
    let mut vault = Vault::rotated();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    vault.checkout.bench.write("cert.pem", &certificate.pem());
    let backup = format!(
        "apiVersion: v1\nkind: List\nitems:\n- kind: Secret\n  apiVersion: v1\n  metadata:\n    name: sealed-secrets-keyabcde\n    labels: {{sealedsecrets.bitnami.com/sealed-secrets-key: active}}\n  type: kubernetes.io/tls\n  data:\n    tls.crt: {}\n    tls.key: {}\n",
        STANDARD.encode(certificate.pem()),
        STANDARD.encode(key.serialize_pem())
    );
    vault.checkout.bench.write("backup.yaml", &backup);
    let cert = vault.checkout.bench.path("cert.pem").display().to_string();
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\n  namespace: prod\nstringData:\n  token: {CANARY}\n"
    );
    let sealed = tools::stdout_of(tools::kubeseal(&["--cert", &cert, "--format", "yaml"], secret.as_bytes()));
    let sealed = String::from_utf8(sealed).unwrap();
    vault.commit("clusters/prod/web.yaml", &sealed);
    let keys = ["old.key", "new.key", "backup.yaml"];
    vault.drill(&keys, &[]).exits(0);
    let run = vault.drill(&["old.key", "new.key"], &[]).exits(1);
    assert!(run.out.contains("kubeseal's format names no key"), "{}", run.out);

    // Without a namespace, which is in the value's label: the committed rules say it, as they do for a bare clone.
    vault.commit("clusters/prod/web.yaml", &sealed.replace("  namespace: prod\n", ""));
    vault.drill(&keys, &[]).exits(1);
    vault.drill(&keys, &["--namespace", "prod"]).exits(0);
    vault.commit(".bulla.yaml", "version: 1\nrules:\n- path: 'clusters/prod/**'\n  namespace: prod\n");
    vault.drill(&keys, &[]).exits(0);
    let bare = vault.checkout.bench.path("bare.git").display().to_string();
    vault.checkout.git(&["clone", "-q", "--bare", ".", &bare]).exits(0);
    vault.drill_at(&bare, &keys, &[]).exits(0);
}

#[test]
fn what_is_in_the_safe_may_be_an_age_file_and_the_key_that_opens_it() {
    let vault = Vault::rotated();
    let recovery = Key::new();
    vault.key("recovery.key", &recovery);
    let keys = format!("{}\n{}\n", vault.old.text, vault.new.text);
    let sealed = tools::stdout_of(tools::age(&["-r", &recovery.recipient().to_string()], keys.as_bytes()));
    let mut file = std::fs::File::create(vault.checkout.bench.path("keys.age")).unwrap();
    std::io::Write::write_all(&mut file, &sealed).unwrap();
    vault.drill(&["keys.age", "recovery.key"], &[]).exits(0);
    vault.drill(&["keys.age"], &[]).exits(1).says("is encrypted");

    // The same as `bulla keys backup` makes it, for one custodian and for two of three.
    let at = |name: &str| vault.checkout.bench.path(name).display().to_string();
    let (to, old, new) = (recovery.recipient().to_string(), at("old.key"), at("new.key"));
    let backup = ["keys", "backup", "-i", &old, "-i", &new, "--to", &to];
    vault.checkout.bulla(&[&backup[..], &["-o", &at("backup.age")]].concat()).exits(0);
    vault.drill(&["backup.age", "recovery.key"], &[]).exits(0);
    let (ann, ben) = (Key::new(), Key::new());
    vault.key("ann.key", &ann);
    vault.key("ben.key", &ben);
    let (ann, ben) = (ann.recipient().to_string(), ben.recipient().to_string());
    let shared = ["--to", &ann, "--to", &ben, "--threshold", "2", "-o", &at("shared.age")];
    vault.checkout.bulla(&[&backup[..], &shared].concat()).exits(0);
    let shares = ["shared.age", "shared.age.share-1", "shared.age.share-2"];
    vault.drill(&[&shares[..], &["recovery.key", "ann.key"]].concat(), &[]).exits(0);
    vault.drill(&[&shares[..2], &["ann.key"]].concat(), &[]).exits(1).says("shared.age");
}

#[test]
fn what_cannot_be_proven_is_not_called_proven() {
    let mut vault = Vault::rotated();
    let keys = ["old.key", "new.key"];
    let shallow = vault.checkout.bench.path("shallow").display().to_string();
    let origin = format!("file://{}", vault.checkout.folder.display());
    vault.checkout.git(&["clone", "-q", "--depth", "1", &origin, &shallow]).exits(0);
    vault.drill_at(&shallow, &keys, &[]).exits(2).says("git fetch --unshallow");
    vault.drill_at(&shallow, &keys, &["--history", "none"]).exits(0);

    vault.drill(&keys, &["--rev", "no-such"]).exits(2).says("no-such");
    let bench = &vault.checkout.bench;
    std::fs::create_dir(bench.path("other")).unwrap();
    let other = bench.path("other").display().to_string();
    vault.checkout.git(&["init", "-q", &other]).exits(0);
    vault.drill_at(&other, &keys, &[]).exits(2).says("no commit");
    vault.checkout.git(&["-C", &other, "commit", "-q", "--allow-empty", "-m", "empty"]).exits(0);
    let run = vault.drill_at(&other, &keys, &[]).exits(1);
    assert!(run.out.starts_with("There is no sealed value in it"), "{}", run.out);
    // A template is said, not proven.
    let template = "{{- if .Values.db }}\nkind: SealedSecret\nmetadata: {name: db}\n{{- end }}\n";
    vault.commit("chart/templates/x.yaml", template);
    let run = vault.drill(&keys, &[]).exits(0);
    assert!(run.out.contains("1 template(s) with SealedSecrets cannot be read"), "{}", run.out);
}

#[test]
fn values_in_charts_and_patches_open_where_they_say_that_they_belong() {
    let mut vault = Vault::rotated();
    let keys = ["old.key", "new.key"];
    let (ours, lost) =
        (vault.new.seal("password", CANARY, "2026-01-02"), Key::new().seal("token", CANARY, "2026-01-02"));
    let chart = "kind: SealedSecret\napiVersion: bitnami.com/v1alpha1\nmetadata:\n  name: db\nspec:\n  encryptedData:\n    password: {{ .Values.password }}\n";
    vault.commit("chart/templates/db.yaml", chart);
    vault.commit("chart/values.yaml", &format!("# of the chart\npassword: \"{ours}\"\n"));
    let run = vault.drill(&keys, &[]).exits(0);
    assert!(run.out.contains("5 of 5 values open") && run.out.contains("template(s) with"), "{}", run.out);
    vault.commit("tests/values.yaml", &format!("{{{{ if x }}}}\ntoken: {lost}\n"));
    let told = vault.told(&keys, &[], 1);
    assert_eq!(told["lost"][0]["files"][0]["values"], serde_json::json!([{"object": "prod/db", "key": "token"}]));
    vault.drill(&keys, &["--exclude", "tests/**"]).exits(0);
}

#[test]
fn what_was_not_looked_at_is_counted_and_named_and_never_called_open() {
    let vault = Vault::rotated();
    let keys = ["old.key", "new.key"];
    let lost = |key: &str| Key::new().seal_for(Scope::Strict, "prod/x", key, CANARY, "2026-01-02");
    let object = |values: &str| manifest("prod/x", values);
    let base = vault.head();
    let utf16: Vec<u8> = format!("\u{feff}{}", object("a: b\n")).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut latin = format!("# caf\u{e9}\n{}", object("a: b\n")).into_bytes();
    let two = latin.iter().position(|byte| *byte == 0xc3).unwrap();
    latin.drain(two..=two);
    // A template in a text of the template, braces in comments, broken YAML, places that only a template knows.
    let rsa = STANDARD.encode([&[1, 0][..], &[7; 300]].concat());
    let unproven: [(&str, Vec<u8>); 8] = [
        ("utf16.yaml", utf16),
        ("latin.yaml", latin),
        ("broken.yaml", format!("# {{{{ x }}}}\na: [\n{}", object("a: b\n")).into_bytes()),
        ("left.yaml", object("a: \"{{ .x }}\"\n").into_bytes()),
        ("chart/values.yaml", format!("db:\n  encryptedData:\n    a: {rsa}\n").into_bytes()),
        ("config.yaml", format!("data:\n  x: |\n    encryptedData: {{a: {rsa}}}\n").into_bytes()),
        ("values.yaml.gotmpl", format!("{{{{ if .x }}}}\nencryptedData:\n  a: {rsa}\n{{{{ end }}}}\n").into_bytes()),
        (
            "chart/templates/x.yaml",
            object(&format!("a: {rsa}\n")).replace("name: x", "name: {{ .Release.Name }}").into_bytes(),
        ),
    ];
    for (path, bytes) in &unproven {
        vault.commit_bytes(path, bytes);
        let told = vault.told(&keys, &[], 1);
        assert_eq!(told["verdict"], "unproven", "{path}: {told}");
        assert_eq!(told["notLookedAt"]["count"], 1, "{path}: {told}");
        assert_eq!(told["notLookedAt"]["things"][0]["path"], *path, "{told}");
        let run = vault.drill(&keys, &["--history", "none"]).exits(1).says("1 thing(s) were not looked at");
        assert!(run.out.starts_with("1 thing(s) could not be looked at") && run.out.contains(path), "{}", run.out);
        // Only older commits have it.
        vault.commit_bytes(path, b"a: b\n");
        vault.drill(&keys, &[]).exits(1);
        vault.drill(&keys, &["--history", "warn"]).exits(0);
        vault.drill(&keys, &["--exclude", path]).exits(0);
        vault.checkout.git(&["reset", "-q", "--hard", &base]).exits(0);
    }

    // What can be read is opened, or is lost: templates of other programs in the same file excuse nothing.
    let with_template =
        |values: &str| object(values).replace("    type: Opaque\n", "    data:\n      url: \"{{ .password }}\"\n");
    for (path, text) in [
        ("number.yaml", with_template("k: 12345\n")),
        ("list.yaml", with_template("k: [x]\n")),
        ("null.yaml", with_template("k:\n")),
        ("escaped.yaml", object(&format!("a: {}\n", lost("a"))).replace("SealedSecret", "\"Sealed\\u0053ecret\"")),
        ("helm.yaml.gotmpl", format!("{{{{ if .x }}}}\npassword: {}\n{{{{ end }}}}\n", lost("a"))),
        (
            "chart/templates/y.yaml",
            format!("{{{{ if .x }}}}\n{}{{{{ end }}}}\n", object(&format!("a: {}\n", lost("a")))),
        ),
    ] {
        vault.commit_bytes(path, text.as_bytes());
        let told = vault.told(&keys, &[], 1);
        assert_eq!(told["verdict"], "lost", "{path}: {told}");
        vault.checkout.git(&["reset", "-q", "--hard", &base]).exits(0);
    }
}

#[test]
fn the_whole_secret_form_and_values_behind_an_alias_are_values_too() {
    let mut vault = Vault::rotated();
    let keys = ["old.key", "new.key"];
    let sealed = vault.new.seal_for(Scope::ClusterWide, "prod/x", "spec.data", "{}", "2026-01-02");
    let whole = |name: &str, sealed: &str| {
        format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: {name}\n  annotations: {{sealedsecrets.bitnami.com/cluster-wide: \"true\"}}\nspec:\n  {sealed}\n"
        )
    };
    vault.commit("whole.yaml", &whole("whole", &format!("data: {sealed}")));
    vault.commit("alias.yaml", &whole("alias", &format!("encryptedData: {{a: &same {sealed}, b: *same}}")));
    let run = vault.drill(&keys, &[]).exits(0);
    assert!(run.out.contains("7 of 7 values open, in 4 SealedSecrets"), "{}", run.out);
    let lost = Key::new().seal_for(Scope::ClusterWide, "prod/x", "spec.data", "{}", "2026-01-02");
    vault.commit("whole.yaml", &whole("whole", &format!("data: {lost}")));
    let told = vault.told(&keys, &[], 1);
    assert_eq!(told["lost"][0]["files"][0]["values"][0]["key"], "spec.data");
}

#[test]
fn branches_tags_and_stashes_are_commits_too() {
    let vault = Vault::rotated();
    let lost = Key::new();
    vault.checkout.branch("feature", "HEAD", "feature.yaml", &values(&lost, "prod/feature", "2026-05-06"));
    vault.checkout.git(&["checkout", "-q", "main"]).exits(0);
    let keys = ["old.key", "new.key"];
    let told = vault.told(&keys, &[], 1);
    assert_eq!(told["lost"][0]["files"][0]["path"], "feature.yaml");
    vault.drill(&keys, &["--rev", "main"]).exits(0);
    vault.checkout.git(&["tag", "release", "feature"]).exits(0);
    vault.checkout.git(&["branch", "-qD", "feature"]).exits(0);
    vault.drill(&keys, &[]).exits(1);
    vault.checkout.git(&["tag", "-d", "release"]).exits(0);
    vault.drill(&keys, &[]).exits(0);
}

#[test]
fn what_comes_from_elsewhere_is_counted() {
    let mut vault = Vault::rotated();
    let external = |name: &str, store: &str| {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: {name}, namespace: prod}}\nspec:\n  secretStoreRef: {{name: {store}}}\n  data: [{{secretKey: a, remoteRef: {{key: x}}}}]\n---\n"
        )
    };
    let store = |name: &str, provider: &str| {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {{name: {name}, namespace: prod}}\nspec: {{provider: {provider}}}\n---\n"
        )
    };
    let text = external("a", "cloud")
        + &external("b", "cloud")
        + &external("c", "here")
        + &external("d", "gone")
        + &store("cloud", "{aws: {service: SecretsManager, region: eu-west-1}}")
        + &store("here", &format!("{{fake: {{data: [{{key: x, value: {CANARY}}}]}}}}"));
    vault.commit("clusters/prod/external.yaml", &text);
    let told = vault.told(&["old.key", "new.key"], &[], 0);
    assert_eq!(
        told["fromOutside"],
        serde_json::json!({"externalSecrets": 4, "inRepository": 1, "byProvider": {"aws": 2, "unknown": 1}, "stores": 1})
    );
    assert_eq!(told["rebuild"]["secrets"], 6);
    let run = vault.drill(&["old.key", "new.key"], &[]).exits(0);
    assert!(run.out.contains("3 of 4 ExternalSecrets come from stores elsewhere (aws 2, unknown 1)"), "{}", run.out);
}

/// What one run of the program took at its peak, in KiB. Asked of the kernel while it runs: what `wait` tells begins
/// with what this process has.
fn peak(vault: &Vault, keys: &[&str]) -> u64 {
    let mut command = vault.checkout.command("bulla");
    command.arg("drill").stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    for key in keys {
        command.arg("-i").arg(vault.checkout.bench.path(key));
    }
    let mut child = command.spawn().unwrap();
    let (status, mut peak) = (format!("/proc/{}/status", child.id()), 0);
    loop {
        let told = std::fs::read_to_string(&status).unwrap_or_default();
        let line = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak).max(peak);
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success());
            return peak;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn two_thousand_versions_of_files_take_no_more_memory_than_a_few() {
    let few = Vault::rotated();
    let keys = ["old.key", "new.key"];
    let base = peak(&few, &keys);
    let vault = Vault::rotated();
    for version in 0..10 {
        for file in 0..200 {
            let object = format!("team/app-{file}");
            // One value of each file changes, the other stays.
            let kept = vault.old.seal_for(Scope::Strict, &object, "kept", CANARY, "2026-01-01");
            let path = format!("apps/{file}.yaml");
            let kept = if version == 0 {
                kept
            } else {
                let text = vault.checkout.read(&path);
                text.lines().find_map(|line| line.trim().strip_prefix("kept: ")).unwrap().to_owned()
            };
            let changed =
                vault.new.seal_for(Scope::Strict, &object, "changed", &format!("{CANARY}{version}"), "2026-01-01");
            vault.checkout.write(&path, &manifest(&object, &format!("kept: {kept}\nchanged: {changed}\n")));
        }
        vault.checkout.git(&["add", "-A"]).exits(0);
        vault.checkout.git(&["commit", "-qm", "version"]).exits(0);
    }
    let begin = Instant::now();
    let told = vault.told(&keys, &[], 0);
    let took = begin.elapsed();
    assert_eq!((&told["history"]["files"], &told["history"]["values"]), (&2003.into(), &(6 + 200 + 2000).into()));
    assert_eq!((&told["newest"]["values"], &told["newest"]["opened"]), (&404.into(), &404.into()));
    let peak = peak(&vault, &keys);
    assert!(base > 1024 && peak < base + 24 * 1024, "{base} KiB for 3 versions, {peak} KiB for 2,003");
    assert!(took.as_secs() < 60, "{took:?}");
}

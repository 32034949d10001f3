//! `bulla seal`.

use std::io::{Read as _, Write as _};

use crate::harness::{Bench, SECRET};

#[test]
fn what_is_written_is_minimal_and_opens_again() {
    let bench = Bench::with_keys();
    let run = bench.pipe(&["seal", "--to", "cluster.pub"], SECRET).exits(0);
    for noise in ["null", "creationTimestamp", "status", "stringData", "canary", "Opaque"] {
        assert!(!run.out.contains(noise), "{noise} in\n{}", run.out);
    }
    assert!(run.out.contains("labels:\n        team: payments"), "{}", run.out);
    let opened = bench.pipe(&["open", "--identity", "cluster.key"], &run.out).exits(0).out;
    assert!(opened.contains("password: \"Y2FuYXJ5LWh1bnRlcjI=\"") || opened.contains("password: Y2FuYXJ5LWh1bnRlcjI="));
    assert!(opened.contains("kind: Secret\n") && opened.contains("team: payments"), "{opened}");
}

#[test]
fn several_documents_lists_and_json_are_read() {
    let bench = Bench::with_keys();
    let list = r#"{"kind":"List","items":[{"kind":"Secret","metadata":{"name":"a","namespace":"n"},"data":{"k":"b25l"}},
        {"kind":"Secret","metadata":{"name":"b","namespace":"n"},"stringData":{"k":"two"}}]}"#;
    let text = format!("{SECRET}---\n---\n{list}\n");
    let run = bench.pipe(&["seal", "--to", "small.pub"], &text).exits(0);
    assert_eq!(run.out.matches("kind: SealedSecret").count(), 3, "{}", run.out);
    let json = bench.pipe(&["seal", "--to", "small.pub", "--format", "json"], SECRET).exits(0).out;
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["spec"]["template"]["metadata"]["labels"]["team"], "payments");
}

#[test]
fn a_value_comes_from_a_pipe_or_a_file_never_from_a_flag() {
    let bench = Bench::with_keys();
    let place = ["--to", "small.pub", "--name", "db", "-n", "prod"];
    let mut arguments = vec!["seal", "--from-literal", "password", "-o", "db.yaml"];
    arguments.extend(place);
    bench.pipe(&arguments, "one line\n").exits(0);
    let value = bench.run(&["open", "db.yaml", "-i", "small.key", "--key", "password"]).exits(0);
    assert_eq!(value.out, "one line", "the line end of `echo` is not part of the value");

    bench.write("tls.key", "two\nlines\n");
    let mut arguments = vec!["seal", "--from-file", "tls.key", "--from-file", "other=tls.key", "-o", "tls.yaml"];
    arguments.extend(place);
    bench.run(&arguments).exits(0);
    for key in ["tls.key", "other"] {
        let value = bench.run(&["open", "tls.yaml", "-i", "small.key", "--key", key]).exits(0);
        assert_eq!(value.out, "two\nlines\n", "a file is taken byte for byte");
    }
    bench
        .run(&["seal", "--from-literal", "password=x", "--name", "db", "-n", "prod", "--to", "small.pub"])
        .exits(1)
        .says("not a valid data key");
}

#[test]
fn raw_prints_one_value_that_fits_into_a_manifest() {
    let bench = Bench::with_keys();
    let arguments =
        ["seal", "--raw", "--from-literal", "password", "--name", "db", "-n", "prod", "--to", "cluster.pub"];
    let value = bench.pipe(&arguments, "hunter2").exits(0).out;
    assert_eq!(value.lines().count(), 1);
    let manifest = format!(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db, namespace: prod}}\nspec:\n  encryptedData:\n    password: {value}"
    );
    let opened = bench.pipe(&["open", "-i", "cluster.key", "--key", "password"], &manifest).exits(0).out;
    assert_eq!(opened, "hunter2");
}

#[test]
fn sealing_again_onto_a_file_changes_only_what_changed() {
    let bench = Bench::with_keys();
    bench.pipe(&["seal", "--to", "cluster.pub", "-o", "db.yaml"], SECRET).exits(0);
    let commented = format!(
        "# ask the payments team\n{}",
        bench.read("db.yaml").replace("  encryptedData:", "  encryptedData: # two values")
    );
    bench.write("db.yaml", &commented);

    bench.pipe(&["seal", "--to", "cluster.pub", "-o", "db.yaml"], SECRET).exits(0).says("is unchanged");
    assert_eq!(bench.read("db.yaml"), commented);

    let changed =
        SECRET.replace("hunter2", "hunter3").replace("  username: app\n", "  username: app\n  port: '5432'\n");
    bench.pipe(&["seal", "--to", "cluster.pub", "-o", "db.yaml"], &changed).exits(0).says("1 kept");
    let after = bench.read("db.yaml");
    let line = |text: &str, key: &str| text.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned();
    assert_eq!(line(&after, "username:"), line(&commented, "username:"));
    assert_ne!(line(&after, "password:"), line(&commented, "password:"));
    assert!(after.contains("port:") && after.starts_with("# ask the payments team") && after.contains("# two values"));

    bench.pipe(&["seal", "--to", "small.pub", "-o", "db.yaml"], &changed).exits(0).says("3 value(s) sealed");
}

#[test]
fn rules_say_to_whom_with_which_scope_and_for_which_namespace() {
    let bench = Bench::with_keys();
    let rules = format!(
        "version: 1\nrules:\n- path: 'prod/*.yaml'\n  recipients: [{}]\n  scope: namespace-wide\n  namespace: prod\n",
        bench.read("cluster.pub").trim()
    );
    bench.write(".bulla.yaml", &rules);
    let secret = SECRET.replace("  namespace: prod\n", "");
    // The folder is made.
    bench.pipe(&["seal", "-o", "prod/db.yaml"], &secret).exits(0);
    let text = bench.read("prod/db.yaml");
    assert!(
        text.contains("namespace: prod") && text.contains("sealedsecrets.bitnami.com/namespace-wide: \"true\""),
        "{text}"
    );
}

#[test]
fn a_certificate_comes_from_a_file_or_a_url() {
    let bench = Bench::with_keys();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
    bench.write("cert.pem", &certificate);
    bench.write("cert.key", &key.serialize_pem());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/cert.pem", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{certificate}",
            certificate.len()
        );
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    for to in ["cert.pem", url.as_str()] {
        let sealed = bench.pipe(&["seal", "--to", to], SECRET).exits(0).out;
        let opened = bench.pipe(&["open", "-i", "cert.key", "--key", "password"], &sealed).exits(0).out;
        assert_eq!(opened, "canary-hunter2");
    }
    assert!(server.join().unwrap().starts_with("GET /v1/cert.pem "));
}

#[test]
fn bad_input_is_refused_by_name_and_without_its_bytes() {
    let bench = Bench::with_keys();
    let mut expired = rcgen::CertificateParams::new(Vec::new()).unwrap();
    expired.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    bench.write("old.pem", &expired.self_signed(&key).unwrap().pem());
    bench.write("big.yaml", &SECRET.replace("canary-hunter2", &"canary".repeat((1 << 20) / 6 + 1)));
    let private = bench.read("cluster.key").lines().last().unwrap().to_owned();

    let nameless = SECRET.replace("  name: db\n", "");
    let homeless = SECRET.replace("  namespace: prod\n", "");
    let not_base64 = "kind: Secret\nmetadata: {name: a, namespace: b}\ndata: {k: 'canary!'}\n";
    let broken = "kind: Secret\nmetadata: {name: a\nstringData: {k: canary}\n";
    let cases: &[(&[&str], &str, i32, &str)] = &[
        (&["--to", "cluster.pub", "--to", "small.pub"], SECRET, 1, "age forbids mixing"),
        (&["--to", &private], SECRET, 1, "this is a private key"),
        (&["--to", "cluster.key"], SECRET, 1, "this is a private key"),
        (&["--to", "age1notakey"], SECRET, 1, "not a recipient"),
        (&["--to", "nowhere.pub"], SECRET, 2, "nowhere.pub"),
        (&["--to", "old.pem"], SECRET, 1, "expired at 2001-01-01"),
        (&["--to", "small.pub"], &nameless, 2, "pass --name"),
        (&["--to", "small.pub"], &homeless, 2, "--namespace"),
        (&["--to", "small.pub", "-n", "other"], SECRET, 1, "is in namespace prod, but --namespace says other"),
        (&["--to", "small.pub"], not_base64, 1, "data.k is not base64"),
        (&["--to", "small.pub"], broken, 1, "not a Secret in YAML or JSON"),
        (&["--to", "small.pub"], "kind: ConfigMap\n", 1, "is a ConfigMap, not a Secret"),
        (&["--to", "small.pub"], "kind: SealedSecret\n", 1, "use `bulla set`"),
        (&["--to", "small.pub"], "", 1, "holds no Secret"),
        (&["--to", "small.pub", "big.yaml"], "", 1, "a Secret holds at most 1048576"),
        (&["--to", "small.pub", "--scope", "wide"], SECRET, 2, "possible values: strict"),
    ];
    for (arguments, stdin, code, says) in cases {
        let mut all = vec!["seal"];
        all.extend(*arguments);
        let run = bench.pipe(&all, stdin).exits(*code).says(says);
        assert!(!run.err.contains("canary") && !run.err.contains(&private), "leaked: {}", run.err);
        assert!(run.out.is_empty());
    }
}

#[test]
fn nothing_in_an_existing_file_is_lost_silently() {
    let bench = Bench::with_keys();
    bench.write("values.yaml", "replicas: 3\n");
    bench.pipe(&["seal", "--to", "small.pub", "-o", "values.yaml"], SECRET).exits(1).says("holds no SealedSecret");
    assert_eq!(bench.read("values.yaml"), "replicas: 3\n");

    let other = SECRET.replace("name: db", "name: other");
    bench.pipe(&["seal", "--to", "small.pub", "-o", "two.yaml"], &format!("{SECRET}---\n{other}")).exits(0);
    let before = bench.read("two.yaml");
    bench
        .pipe(&["seal", "--to", "small.pub", "-o", "two.yaml"], SECRET)
        .exits(1)
        .says("SealedSecret other, which would be lost");
    assert_eq!(bench.read("two.yaml"), before);

    bench.pipe(&["seal", "--to", "small.pub", "--scope", "cluster-wide", "-o", "wide.yaml"], SECRET).exits(0);
    let wide = bench.read("wide.yaml");
    bench.pipe(&["seal", "--to", "small.pub", "-o", "wide.yaml"], SECRET).exits(0).says("is unchanged");
    assert_eq!(bench.read("wide.yaml"), wide);
}

#[test]
fn a_file_that_no_rule_covers_is_not_sealed_to_some_cluster() {
    let bench = Bench::with_keys();
    bench.write(".bulla.yaml", "version: 1\nrules:\n- path: 'prod/*.yaml'\n  recipientFiles: [small.pub]\n");
    bench.pipe(&["seal", "-o", "prod.yml"], SECRET).exits(1).says("no rule of");
}

#[test]
fn the_rule_of_what_a_link_leads_to_holds() {
    let bench = Bench::with_keys();
    let rule = |folder: &str, key: &str| format!("- path: '{folder}/*'\n  recipientFiles: [{key}.pub]\n");
    bench.write(".bulla.yaml", &format!("version: 1\nrules:\n{}{}", rule("prod", "cluster"), rule("dev", "small")));
    bench.write("dev/README", "");
    bench.write("prod/README", "");
    bench.pipe(&["seal", "-o", "prod/db.yaml"], SECRET).exits(0);
    std::os::unix::fs::symlink("../prod/db.yaml", bench.path("dev/db.yaml")).unwrap();
    bench.pipe(&["set", "dev/db.yaml", "password"], "new").exits(0);
    let value = bench.run(&["open", "prod/db.yaml", "-i", "cluster.key", "--key", "password"]).exits(0).out;
    assert_eq!(value, "new");
}

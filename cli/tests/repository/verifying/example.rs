//! The example of two hosts, with the values that its README has the reader seal.

use std::fs;
use std::path::Path;

use bulla::seal::{Identity, Scope};

use super::{manifest, repository, sealed};

#[test]
fn the_example_of_two_hosts_has_no_findings_and_one_with_a_misspelt_word_has() {
    let (bench, _) = repository();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/hosts/hosts");
    for folder in fs::read_dir(example).unwrap() {
        let folder = folder.unwrap();
        for file in fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            let name = Path::new("hosts").join(folder.file_name()).join(file.file_name());
            bench.write(name.to_str().unwrap(), &fs::read_to_string(file.path()).unwrap());
        }
    }
    let to = Identity::generate_hybrid().unwrap().recipient().to_string();
    for (name, keys) in [
        ("tls", &["tls.crt", "tls.key"][..]),
        ("users", &["users"]),
        ("approle", &["secret-id"]),
        ("backup", &["passphrase"]),
    ] {
        let values = keys.iter().map(|key| (*key, sealed(&[&to], Scope::Strict, "web", name, key))).collect::<Vec<_>>();
        let values = values.iter().map(|(key, value)| (*key, value.as_str())).collect::<Vec<_>>();
        bench.write(&format!("hosts/web/{name}.yaml"), &manifest(name, "  namespace: web\n", &values));
    }
    let run = bench.run(&["verify", "--strict", "hosts"]).exits(0);
    assert!(run.out.contains("nothing wrong"), "{}", run.out);
    let text = bench.read("hosts/frodo/host.yaml").replace("reloadOn:", "reloadsOn:");
    bench.write("hosts/frodo/host.yaml", &text);
    let run = bench.run(&["verify", "hosts"]).exits(1);
    assert!(run.out.contains("hosts/frodo/host.yaml") && run.out.contains("reloadsOn"), "{}", run.out);
}

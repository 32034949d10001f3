//! HashiCorp Vault against the real server.

use serde_json::json;

use crate::support::vault::Vault;

#[test]
fn the_server_keeps_what_it_has_over_a_restart() {
    let vault = Vault::start_tls();
    vault.enable_kv("kv", 2);
    vault.write("kv/data/a", &json!({"data": {"b": "c"}}));
    vault.restart();
    assert_eq!(vault.read("kv/data/a")["data"]["data"]["b"], "c");
    vault.seal();
    vault.unseal();
    assert_eq!(vault.count("kv/data/a"), 2);
}

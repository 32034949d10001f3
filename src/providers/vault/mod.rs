//! HashiCorp Vault and OpenBao: KV version 1 and 2.

mod settings;

pub use settings::{Auth, ClientCertificate, KvVersion, Settings};

//! HashiCorp Vault and OpenBao: KV version 1 and 2.

mod settings;

pub use settings::{Auth, ClientCertificate, KvVersion, Settings};

/// TEMPORARY
pub fn connect(_: Settings, _: super::Gate) -> Result<std::sync::Arc<dyn super::Provider>, super::ProviderError> {
    Err(super::ProviderError::new(super::Cause::Misconfigured, "not yet"))
}

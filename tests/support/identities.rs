//! Who is who for a test's API server: its CA, its certificate, the tokens, the accounts' signing key.
//!
//! All of it is made anew for each server, so no private key is in the repository.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::audit;

/// The token of the user `admin` in the group `system:masters`.
pub(crate) const ADMIN: &str = "admin-token";
/// The token of the user `nobody`, who is authenticated and may do nothing.
pub(crate) const NOBODY: &str = "nobody-token";

/// Writes what the server reads at its start; returns its CA's certificate in DER.
pub(crate) fn write_files(folder: &Path) -> Vec<u8> {
    let mut params = CertificateParams::new(Vec::new()).expect("a certificate's parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
    let names = ["127.0.0.1", "localhost", "10.0.0.1", "kubernetes.default.svc"].map(str::to_owned);
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(names).expect("a certificate's parameters").signed_by(&key, &ca);
    let accounts = KeyPair::generate().expect("a key");
    for (name, text) in [
        ("ca.pem", ca.pem()),
        ("server.pem", server.expect("a certificate").pem()),
        ("server.key", key.serialize_pem()),
        ("accounts.key", accounts.serialize_pem()),
        ("accounts.pub", accounts.public_key_pem()),
        ("tokens.csv", format!("{ADMIN},admin,1,\"system:masters\"\n{NOBODY},nobody,2\n")),
        ("audit-policy.json", audit::POLICY.to_owned()),
    ] {
        write(&folder.join(name), &text);
    }
    ca.der().to_vec()
}

/// Writes a file of the server's folder.
pub(crate) fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

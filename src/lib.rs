//! Bulla: every secret in Git, without a byte of plaintext there.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`secret`] | shared words: what a secret is in memory, how a target Secret is rendered |
//! | [`seal`] | domain 1, pure: bytes in, bytes out; the sealed formats, keys and scopes |
//! | [`sync`] | domain 2, pure: state in, plan out; what to write, when to try again |
//! | [`controllers`] | edge: Kubernetes |
//! | [`server`] | edge: HTTP |
//! | [`runtime`] | arguments, telemetry, shutdown |
//!
//! Dependency rule, checked by `cargo check --no-default-features`:
//! ```text
//! main -> runtime -> { controllers, host, server } -> providers -> sync -> secret
//!                                     \-----> seal ----------------------> secret
//! crds <- controllers, host, cli            (never from secret, seal, sync, providers)
//! ```

#[cfg(feature = "kubernetes")]
pub mod controllers;
#[cfg(feature = "kubernetes")]
pub mod runtime;
pub mod seal;
pub mod secret;
#[cfg(feature = "kubernetes")]
pub mod server;
pub mod sync;

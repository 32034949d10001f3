//! Bulla: every secret in Git, without a byte of plaintext there.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`secret`] | shared words: what a secret is in memory, how a target Secret is rendered |
//! | [`seal`] | domain 1, pure: bytes in, bytes out; the sealed formats, keys and scopes |
//! | [`sync`] | domain 2, pure: state in, plan out; what to write, when to try again |
//! | `providers` | edge: where remote secrets live; AWS, Vault, other clusters, files |
//! | `resource` | from an API object to the Secret that it asks for: what `controllers` and `host` share |
//! | `stores` | edge: from a store's settings to a provider, and what an ExternalSecret asks of it: likewise shared |
//! | `host` | edge: a machine without Kubernetes: follows a Git repository, writes files |
//! | `controllers` | edge: Kubernetes; SealedSecrets in, Secrets out |
//! | `server` | edge: HTTP; health, metrics, public keys, kubeseal's verify and rotate |
//! | `audit` | the audit log: who opened, wrote or re-sealed what with which key |
//! | `runtime` | what surrounds the controller in its process: arguments, logs, signals, the connection |
//!
//! Dependency rule, checked by `cargo check --no-default-features`:
//! ```text
//! main -> runtime -> { controllers, host, server } -> stores -> providers -> sync -> secret
//!                      \-> resource -> seal -------------------------------------> secret
//! stores -> resource                                  (what an ExternalSecret asks for)
//! providers -> seal                                   (its file provider opens age files)
//! crds <- resource, stores, controllers, host, cli            (never from secret, seal, sync, providers)
//! ```

#[cfg(feature = "process")]
pub mod audit;
#[cfg(feature = "kubernetes")]
pub mod controllers;
#[cfg(feature = "host")]
pub mod host;
#[cfg(feature = "providers")]
pub mod providers;
#[cfg(any(feature = "kubernetes", feature = "host"))]
pub mod resource;
#[cfg(feature = "process")]
pub mod runtime;
pub mod seal;
pub mod secret;
#[cfg(feature = "kubernetes")]
pub mod server;
#[cfg(any(feature = "kubernetes", feature = "host"))]
pub mod stores;
pub mod sync;

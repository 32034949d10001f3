//! Secrets in the clear, found by structure and by shape.
//!
//! | module | what it is |
//! | --- | --- |
//! | `rules` | what is searched for |
//! | `look` | one text, looked at by every detector |
//! | `manifests` | Kubernetes Secrets, generators and templates |
//! | `shapes`, `jwt`, `private_keys`, `logins`, `urls`, `assigned` | the detectors |
//! | `encoded` | base64, to look inside |
//! | `worth`, `checksum` | what a value gives away; what tells the random from the made-up |
//! | `remarks` | `# bulla:allow REASON` |
//!
//! What was found is told by its place, its kind and its length. No byte of it is kept.

mod assigned;
mod checksum;
mod encoded;
mod hit;
mod jwt;
mod logins;
mod look;
mod manifests;
mod private_keys;
mod remarks;
mod rules;
mod shapes;
mod urls;
mod worth;

pub(crate) use self::hit::Hit;
pub(crate) use self::look::{Looked, look};
pub(crate) use self::rules::RULES;

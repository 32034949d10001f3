//! AWS Secrets Manager and Parameter Store.

mod settings;

pub use settings::{AssumedRole, Credentials, Service, Settings};

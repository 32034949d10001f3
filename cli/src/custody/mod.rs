//! Private keys on their way out of a cluster and back.

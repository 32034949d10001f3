//! Which key opens what, in a repository and in a cluster.

//! What is under `deploy/`: the chart, the kustomize base and overlays, the image and the examples, against the real API
//! server; and what Argo CD and Flux make of the objects that a controller has worked on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so by panicking")]
#![allow(clippy::disallowed_methods, reason = "what is written here is no secret")]

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "made for another test, used in part")]
#[path = "../controller/world.rs"]
mod sealed_world;

#[allow(dead_code, reason = "made for another test, used in part")]
#[path = "../external/world.rs"]
mod external_world;

mod chart;
mod cluster;
mod diff;
mod examples;
mod health;
mod image;
mod install;
mod kustomize;
mod manifests;
mod rbac;
mod schemas;
mod states;

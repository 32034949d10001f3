//! What Kustomize makes of SealedSecrets: as much of `kustomize build` as decides where a value lands.
//!
//! | module | what it is |
//! | --- | --- |
//! | `read` | one kustomization: what it pulls in, and what it does to it, in Kustomize's order |
//! | `transformers` | what `transformers` do that are files or objects of their own |
//! | `patch` | patches, read |
//! | `selector` | which objects a patch is for |
//! | `tree` | all kustomizations of a repository, and which one pulls in which |
//! | `item` | an object on its way through a build |
//! | `build` | the builds themselves |
//!
//! Objects are known by name, namespace, annotations, labels and what their values say about themselves; nothing else
//! of them is kept. What is not understood here (a plugin, a remote base) is said, never guessed.

mod build;
mod item;
mod patch;
mod read;
mod selector;
mod transformers;
mod tree;

pub(super) use self::build::{Build, Sources};
pub(super) use self::item::{By, Held, Item, Kind, Source, Target};
pub(super) use self::read::is_kustomization;
pub(super) use self::tree::{Names, Tree, shown};

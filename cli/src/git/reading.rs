//! The bytes of blobs, on every core.

use std::sync::atomic::{AtomicUsize, Ordering};

use gix::ObjectId;
use gix::objs::Kind;

use super::{Blob, Git, History};
use crate::utf16;

/// The longest blob that is looked at, in bytes.
pub(crate) const MAX_BYTES: u64 = 16 << 20;
/// What one thread keeps of packs: the versions of a file that others are kept as differences to.
pub(super) const PACK_CACHE_BYTES: usize = 32 << 20;
/// How many blobs one thread takes at a time.
const CHUNK: usize = 64;
/// Git's own measure: a file with a zero byte this early is not text.
const SNIFFED: usize = 8000;

/// What was not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Blobs of more than [`MAX_BYTES`].
    pub(crate) large: usize,
    /// Blobs that are not text.
    pub(crate) binary: usize,
    /// Blobs that this clone does not have, or that are damaged.
    pub(crate) missing: usize,
}

impl Left {
    /// These and those.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            large: self.large + other.large,
            binary: self.binary + other.binary,
            missing: self.missing + other.missing,
        }
    }
}

/// What became of one blob.
enum Read<T> {
    Looked(T),
    Large,
    Binary,
    Missing,
}

impl Git {
    /// Looks at every text among the blobs of a history, once, on every core; what `look` makes of them comes in the
    /// order of the history. `tick` is told of every blob that is done with.
    pub(crate) fn each<T: Send>(
        &self,
        history: &History,
        tick: impl Fn() + Sync,
        look: impl Fn(&Blob, &[u8]) -> Option<T> + Sync,
    ) -> (Vec<T>, Left) {
        let blobs = history.blobs();
        let ids: Vec<ObjectId> = blobs.iter().map(|blob| blob.id).collect();
        self.each_of(&ids, is_text, tick, |at, bytes| blobs.get(at).and_then(|blob| look(blob, bytes)))
    }

    /// The same of any blobs that are wanted by their bytes, text or not; `look` is told which of them it is.
    pub(crate) fn each_of<T: Send>(
        &self,
        ids: &[ObjectId],
        is_wanted: fn(&[u8]) -> bool,
        tick: impl Fn() + Sync,
        look: impl Fn(usize, &[u8]) -> Option<T> + Sync,
    ) -> (Vec<T>, Left) {
        let packed = self.places_in_packs(ids);
        let mut order: Vec<(usize, ObjectId)> = ids.iter().copied().enumerate().collect();
        order.sort_by_key(|(at, _)| packed.get(*at).copied());
        let looked = self.on_every_core(&order, CHUNK, |repository, chunk| {
            let look = |(at, id): &(usize, ObjectId)| {
                let read = match read(repository, *id, is_wanted, |bytes| look(*at, bytes)) {
                    Read::Looked(made) => made.map(Read::Looked),
                    Read::Large => Some(Read::Large),
                    Read::Binary => Some(Read::Binary),
                    Read::Missing => Some(Read::Missing),
                };
                tick();
                read.map(|read| (*at, read))
            };
            chunk.iter().filter_map(look).collect::<Vec<_>>()
        });
        let mut looked: Vec<(usize, Read<T>)> = looked.into_iter().flatten().collect();
        looked.sort_by_key(|(at, _)| *at);
        let (mut all, mut left) = (Vec::new(), Left::default());
        for (_, read) in looked {
            match read {
                Read::Looked(made) => all.push(made),
                Read::Large => left.large += 1,
                Read::Binary => left.binary += 1,
                Read::Missing => left.missing += 1,
            }
        }
        (all, left)
    }

    /// Runs `work` on pieces of a list, on every core, each with a handle of its own; what comes of them is in order.
    pub(super) fn on_every_core<I: Sync, T: Send>(
        &self,
        all: &[I],
        most: usize,
        work: impl Fn(&gix::Repository, &[I]) -> T + Sync,
    ) -> Vec<T> {
        // Small enough that no core waits long for the last one.
        let size = (all.len() / (rayon::current_num_threads() * 8)).clamp(1, most);
        let next = AtomicUsize::new(0);
        let done = rayon::broadcast(|_| {
            let repository = self.handle();
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(rest) = all.get(at.saturating_mul(size)..).filter(|rest| !rest.is_empty()) else { break };
                done.push((at, work(&repository, &rest[..size.min(rest.len())])));
            }
            done
        });
        let mut done: Vec<(usize, T)> = done.into_iter().flatten().collect();
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, made)| made).collect()
    }

    /// Where blobs lie in packs. What is read in this order finds the version that it is a difference to just read.
    /// A pack whose index cannot be read is no matter: only the order is lost.
    fn places_in_packs(&self, ids: &[ObjectId]) -> Vec<(usize, u64)> {
        let repository = self.handle();
        let folder = repository.common_dir().join("objects/pack");
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "idx")).collect();
        files.sort();
        let opened = files.iter().map(|file| gix::odb::pack::index::File::at(file, repository.object_hash()));
        let packs: Vec<_> = opened.flatten().collect();
        let place = |id: &ObjectId| {
            let found = packs.iter().enumerate().find_map(|(pack, index)| {
                let entry = index.lookup(id)?;
                Some((pack, index.pack_offset_at_index(entry)))
            });
            found.unwrap_or((packs.len(), 0))
        };
        ids.iter().map(place).collect()
    }
}

fn read<T>(
    repository: &gix::Repository,
    id: ObjectId,
    is_wanted: fn(&[u8]) -> bool,
    look: impl FnOnce(&[u8]) -> T,
) -> Read<T> {
    match repository.try_find_header(id) {
        Ok(Some(header)) if header.kind() == Kind::Blob && header.size() > MAX_BYTES => return Read::Large,
        Ok(Some(header)) if header.kind() == Kind::Blob => {}
        Ok(_) | Err(_) => return Read::Missing,
    }
    match repository.find_object(id) {
        Ok(object) if is_wanted(&object.data) => Read::Looked(look(&object.data)),
        Ok(_) => Read::Binary,
        Err(_) => Read::Missing,
    }
}

/// Whether bytes are text: as Git sees it, and UTF-16 that says so.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    utf16::marked(bytes).is_some() || !bytes[..bytes.len().min(SNIFFED)].contains(&0)
}

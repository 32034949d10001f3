//! The commits that are reachable, parents before children.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use gix::ObjectId;
use gix::hashtable::{HashMap, HashSet};
use gix::objs::Kind;

use super::revisions::Ends;
use super::{Git, unreadable};
use crate::failure::{OrFail as _, Outcome};

/// A commit.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    /// Its id.
    pub(crate) id: ObjectId,
    /// When its author wrote it.
    pub(crate) authored: Moment,
    pub(super) tree: ObjectId,
    /// Positions of its parents among the commits; those that are not there are left out.
    pub(super) parents: Vec<u32>,
    /// It was asked to be left out, and is here only since a child of it was not.
    pub(super) is_boundary: bool,
}

/// A time as an author's clock and calendar had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    /// Seconds east of Greenwich.
    pub(crate) offset: i32,
}

impl Moment {
    /// The date, such as `2026-11-21`; of a time that no calendar has, its seconds.
    pub(crate) fn date(self) -> String {
        let zone = jiff::tz::Offset::from_seconds(self.offset).unwrap_or(jiff::tz::Offset::UTC);
        jiff::Timestamp::from_second(self.seconds)
            .map_or_else(|_| format!("@{}", self.seconds), |at| zone.to_datetime(at).date().to_string())
    }
}

impl Commit {
    /// The first characters of its id.
    pub(crate) fn short(&self) -> String {
        self.id.to_hex_with_len(10).to_string()
    }
}

/// What a walk over commits came to.
#[derive(Default)]
pub(super) struct Walk {
    /// Parents before children; among those that could come next, the oldest.
    pub(super) commits: Vec<Commit>,
    /// Trees and blobs that a ref points to without a commit, and what points to them.
    pub(super) loose: Vec<(String, ObjectId, Kind)>,
    /// Commits that should be there and are not.
    pub(super) missing: usize,
    pub(super) is_shallow: bool,
}

/// A commit as it is found, its parents still by id.
struct Found {
    commit: Commit,
    parents: Vec<ObjectId>,
    committed: i64,
}

impl Git {
    /// Author's name of a commit, read when it is wanted; empty if it cannot be.
    pub(crate) fn author_of(&self, commit: ObjectId) -> String {
        let repository = self.handle();
        let named = repository.find_commit(commit).ok().and_then(|commit| Some(commit.author().ok()?.name.to_string()));
        named.unwrap_or_default()
    }

    pub(super) fn walk(&self, ends: &Ends) -> Outcome<Walk> {
        let repository = self.handle();
        let mut walk = Walk::default();
        let shallow: HashSet<ObjectId> =
            repository.shallow_commits().map_err(unreadable)?.iter().flat_map(|list| list.iter().copied()).collect();
        walk.is_shallow = !shallow.is_empty();
        let unwanted = self.unwanted(&repository, &ends.unwanted, &shallow)?;

        let mut queue: Vec<(ObjectId, bool)> = Vec::new();
        for tip in &ends.wanted {
            match peel(&repository, tip.id) {
                Ok(Some((id, Kind::Commit))) => queue.push((id, tip.may_be_missing)),
                Ok(Some((id, kind))) => walk.loose.push((tip.by.clone(), id, kind)),
                Ok(None) if tip.may_be_missing => {}
                Ok(None) => walk.missing += 1,
                Err(_) if tip.may_be_missing => {}
                Err(error) => return Err(error).or_usage(format!("reading {} of {}", tip.id, tip.by)),
            }
        }
        let mut found: HashMap<ObjectId, Found> = HashMap::default();
        let mut gone: HashSet<ObjectId> = HashSet::default();
        while let Some((id, may_be_missing)) = queue.pop() {
            if found.contains_key(&id) || gone.contains(&id) {
                continue;
            }
            let Some(mut next) = read(&repository, id, &shallow)? else {
                gone.insert(id);
                walk.missing += usize::from(!may_be_missing);
                continue;
            };
            next.commit.is_boundary = unwanted.contains(&id);
            if !next.commit.is_boundary {
                queue.extend(next.parents.iter().map(|parent| (*parent, may_be_missing)));
            }
            found.insert(id, next);
        }
        walk.commits = in_order(found);
        Ok(walk)
    }

    /// Everything that is reachable from what was asked to be left out.
    fn unwanted(
        &self,
        repository: &gix::Repository,
        ids: &[ObjectId],
        shallow: &HashSet<ObjectId>,
    ) -> Outcome<HashSet<ObjectId>> {
        let mut unwanted = HashSet::default();
        let mut queue = Vec::new();
        for id in ids {
            let peeled = peel(repository, *id).or_usage(format!("reading {id}"))?;
            queue.extend(peeled.filter(|(_, kind)| *kind == Kind::Commit).map(|(id, _)| id));
        }
        while let Some(id) = queue.pop() {
            if unwanted.insert(id) {
                queue.extend(read(repository, id, shallow)?.into_iter().flat_map(|found| found.parents));
            }
        }
        Ok(unwanted)
    }
}

/// What an annotated tag is of; anything else is itself.
fn peel(repository: &gix::Repository, id: ObjectId) -> gix::Result<Option<(ObjectId, Kind)>> {
    let Some(header) = repository.try_find_header(id)? else { return Ok(None) };
    if header.kind() != Kind::Tag {
        return Ok(Some((id, header.kind())));
    }
    let peeled = repository.find_object(id)?.peel_tags_to_end();
    // The tag is there; what it is of may not be.
    Ok(peeled.ok().map(|object| (object.id, object.kind)))
}

fn read(repository: &gix::Repository, id: ObjectId, shallow: &HashSet<ObjectId>) -> Outcome<Option<Found>> {
    let Some(object) = repository.try_find_object(id).or_usage(format!("reading commit {id}"))? else {
        return Ok(None);
    };
    let Some(iter) = object.try_to_commit_ref_iter() else { return Ok(None) };
    // The first of the commit's lines.
    let tree = { iter }.tree_id().or_usage(format!("reading commit {id}"))?;
    let parents = if shallow.contains(&id) { Vec::new() } else { iter.parent_ids().collect() };
    let moment = |signature: gix::actor::SignatureRef<'_>| {
        let time = signature.time().ok();
        Moment { seconds: signature.seconds(), offset: time.map_or(0, |time| time.offset) }
    };
    let authored = iter.author().map(moment).unwrap_or(Moment { seconds: 0, offset: 0 });
    let committed = iter.committer().map_or(authored.seconds, |signature| signature.seconds());
    let commit = Commit { id, authored, tree, parents: Vec::new(), is_boundary: false };
    Ok(Some(Found { commit, parents, committed }))
}

/// Parents first; among those that could come next, the one that was committed first.
fn in_order(found: HashMap<ObjectId, Found>) -> Vec<Commit> {
    let mut children: HashMap<ObjectId, Vec<ObjectId>> = HashMap::default();
    let mut waits_for: HashMap<ObjectId, usize> = HashMap::default();
    let mut next = BinaryHeap::new();
    for (id, one) in &found {
        let parents: HashSet<ObjectId> =
            one.parents.iter().filter(|parent| found.contains_key(*parent)).copied().collect();
        // A boundary's own parents are not of the walk, even where another way leads to one of them.
        let parents = if one.commit.is_boundary { HashSet::default() } else { parents };
        if parents.is_empty() {
            next.push(Reverse((!one.commit.is_boundary, one.committed, *id)));
        }
        waits_for.insert(*id, parents.len());
        parents.into_iter().for_each(|parent| children.entry(parent).or_default().push(*id));
    }
    let (mut commits, mut at): (Vec<Commit>, HashMap<ObjectId, u32>) =
        (Vec::with_capacity(found.len()), HashMap::default());
    let mut found = found;
    while let Some(Reverse((_, _, id))) = next.pop() {
        let Some(one) = found.remove(&id) else { continue };
        let parents = one.parents.iter().filter_map(|parent| at.get(parent).copied()).collect();
        at.insert(id, u32::try_from(commits.len()).unwrap_or(u32::MAX));
        commits.push(Commit { parents, ..one.commit });
        for child in children.remove(&id).into_iter().flatten() {
            let Some(left) = waits_for.get_mut(&child) else { continue };
            *left -= 1;
            if *left == 0
                && let Some(one) = found.get(&child)
            {
                next.push(Reverse((!one.commit.is_boundary, one.committed, child)));
            }
        }
    }
    commits
}

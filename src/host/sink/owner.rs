//! Users and groups by name or number, as this host knows them (NSS).

use std::collections::BTreeMap;

use rustix::process::{getegid, geteuid};

/// Who a file belongs to and who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

/// Looks users and groups up, each once.
pub(super) struct Owners {
    own: (u32, u32),
    users: BTreeMap<String, Option<(u32, u32)>>,
    groups: BTreeMap<String, Option<u32>>,
}

impl Owners {
    pub(super) fn new() -> Self {
        let own = (geteuid().as_raw(), getegid().as_raw());
        Self { own, users: BTreeMap::new(), groups: BTreeMap::new() }
    }

    /// Who `owner` and `group` are; else why nobody knows.
    pub(super) fn rights(&mut self, owner: Option<&str>, group: Option<&str>, mode: u32) -> Result<Rights, String> {
        let (uid, own_group) = match owner {
            None => self.own,
            Some(owner) => self.user(owner)?,
        };
        let gid = group.map_or(Ok(own_group), |group| self.group(group))?;
        if mode > 0o7777 {
            return Err(format!("mode {mode:o} is larger than 7777"));
        }
        Ok(Rights { uid, gid, mode })
    }

    fn user(&mut self, owner: &str) -> Result<(u32, u32), String> {
        let known = self.users.entry(owner.to_owned()).or_insert_with(|| match number(owner) {
            // A number needs no user; without one its group is the agent's.
            Some(uid) => {
                let gid = uzers::get_user_by_uid(uid).map_or(self.own.1, |user| user.primary_group_id());
                Some((uid, gid))
            }
            None => uzers::get_user_by_name(owner).map(|user| (user.uid(), user.primary_group_id())),
        });
        known.ok_or_else(|| {
            format!("this host has no user {owner:?}: create it (with its package, say), or declare another owner")
        })
    }

    fn group(&mut self, group: &str) -> Result<u32, String> {
        let known = self
            .groups
            .entry(group.to_owned())
            .or_insert_with(|| number(group).or_else(|| uzers::get_group_by_name(group).map(|found| found.gid())));
        known.ok_or_else(|| format!("this host has no group {group:?}: create it, or declare another group"))
    }
}

/// A number that names a user or group; the last one means "nobody said" to the kernel.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::Owners;

    #[test]
    fn names_numbers_and_nothing_are_users_and_the_unknown_is_named() {
        let mut owners = Owners::new();
        let root = owners.rights(Some("root"), None, 0o400).unwrap();
        assert_eq!((root.uid, root.gid, root.mode), (0, 0, 0o400));
        let numbers = owners.rights(Some("4711"), Some("0"), 0o440).unwrap();
        assert_eq!((numbers.uid, numbers.gid), (4711, 0));
        let own = owners.rights(None, None, 0o400).unwrap();
        assert_eq!(own.uid, rustix::process::geteuid().as_raw());
        for owner in ["no-such-user-here", "", "-1", "4294967295", "a\0b"] {
            assert!(owners.rights(Some(owner), None, 0o400).is_err(), "{owner:?}");
        }
        assert!(owners.rights(None, Some("no-such-group-here"), 0o400).unwrap_err().contains("no-such-group-here"));
        assert!(owners.rights(None, None, 0o10000).is_err());
    }
}

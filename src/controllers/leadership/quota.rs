//! How many shards a replica takes.

/// A replica that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) identity: String,
    /// How many shards it holds.
    pub(super) holds: usize,
}

/// How many of `shards` the replica `me` may hold: an equal part, and where they do not divide evenly, one more for those
/// who hold the most already. Whoever sees the same members computes the same, and the quotas add up to all shards.
pub(super) fn quota(shards: usize, members: &[Member], me: &str) -> usize {
    let count = members.len().max(1);
    let mut ranked: Vec<_> = members.iter().collect();
    ranked.sort_by(|a, b| b.holds.cmp(&a.holds).then_with(|| a.identity.cmp(&b.identity)));
    let rank = ranked.iter().position(|member| member.identity == me).unwrap_or(count);
    shards / count + usize::from(rank < shards % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(holds: &[usize]) -> Vec<Member> {
        let member = |(number, holds): (usize, &usize)| Member { identity: format!("m{number}"), holds: *holds };
        holds.iter().enumerate().map(member).collect()
    }

    fn quotas(shards: usize, holds: &[usize]) -> Vec<usize> {
        let members = members(holds);
        members.iter().map(|member| quota(shards, &members, &member.identity)).collect()
    }

    #[test]
    fn shards_are_shared_equally_and_nothing_moves_without_need() {
        assert_eq!(quotas(1, &[0]), [1]);
        assert_eq!(quotas(1, &[0, 1]), [0, 1]);
        assert_eq!(quotas(4, &[4, 0]), [2, 2]);
        assert_eq!(quotas(3, &[1, 2]), [1, 2]);
        assert_eq!(quotas(4, &[2, 2, 0]), [2, 1, 1]);
        assert_eq!(quotas(4, &[2, 1, 1]), [2, 1, 1]);
        assert_eq!(quotas(2, &[0, 1, 1]), [0, 1, 1]);
    }

    #[test]
    fn quotas_add_up() {
        for shards in 1..9 {
            for holds in [vec![0, 0], vec![3, 1, 0], vec![1, 1, 1, 1, 1], vec![0; 7]] {
                assert_eq!(quotas(shards, &holds).iter().sum::<usize>(), shards);
            }
        }
    }

    #[test]
    fn whoever_is_not_known_yet_takes_no_extra_one() {
        assert_eq!(quota(4, &members(&[2, 2, 0]), "stranger"), 1);
    }
}

//! Whether the run folder is in memory, and stays there.

use std::os::fd::BorrowedFd;
use std::path::Path;

use super::error::Error;
use super::settings::{Storage, below};

const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;

/// Refuses or warns of a run folder from which secrets can reach a disk.
pub(super) fn check(folder: BorrowedFd<'_>, path: &Path, demand: Storage) -> Result<Option<String>, Error> {
    let stat = rustix::fs::fstatfs(folder).map_err(Error::when("look at", path))?;
    #[expect(clippy::cast_sign_loss, reason = "a magic number of 32 bits, of another type on each machine")]
    let kind = stat.f_type as u64 & 0xffff_ffff;
    match (kind, demand) {
        // ramfs is never swapped out.
        (RAMFS, _) => Ok(None),
        (TMPFS, _) => {
            let stat = rustix::fs::fstat(folder).map_err(Error::when("look at", path))?;
            let device = format!("{}:{}", rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
            Ok((has_swap(&swaps) && !is_noswap(&mounts, &device)).then(|| {
                format!("this host has swap, where pages of {} can go: mount it with `noswap` (Linux 6.4), or encrypt the swap", path.display())
            }))
        }
        (_, Storage::Any) => Ok(Some(format!("{} is on a disk, where secrets can stay for ever", path.display()))),
        (kind, Storage::Memory) => Err(Error::OnDisk { path: path.to_owned(), kind: format!("file system {kind:#x}") }),
    }
}

/// Whether the folder of a declared path, or the nearest that is there, is in memory.
#[must_use]
pub fn is_in_memory(root: &Path, declared: &Path) -> bool {
    let path = below(root, declared);
    let found = path.ancestors().skip(1).find_map(|folder| rustix::fs::statfs(folder).ok());
    #[expect(clippy::cast_sign_loss, reason = "a magic number of 32 bits, of another type on each machine")]
    found.is_some_and(|stat| matches!(stat.f_type as u64 & 0xffff_ffff, TMPFS | RAMFS))
}

/// Whether `/proc/swaps` names any; its first line is a heading, and compressed memory is no disk.
fn has_swap(swaps: &str) -> bool {
    swaps.lines().skip(1).any(|line| !line.is_empty() && !line.starts_with("/dev/zram"))
}

/// Whether the file system on `device` was mounted so that it stays in memory.
fn is_noswap(mounts: &str, device: &str) -> bool {
    mounts.lines().filter(|line| line.split(' ').nth(2) == Some(device)).any(|line| {
        let options = line.split(" - ").nth(1).and_then(|rest| rest.split(' ').nth(2)).unwrap_or_default();
        options.split(',').any(|option| option == "noswap")
    })
}

#[cfg(test)]
mod tests {
    use super::{has_swap, is_noswap};

    const MOUNTS: &str = "22 1 0:21 / /run rw,nosuid - tmpfs tmpfs rw,size=10k,mode=755\n\
                          23 1 0:22 / /run/bulla rw,nosuid shared:3 - tmpfs tmpfs rw,size=10k,noswap\n";

    #[test]
    fn swap_and_tmpfs_that_is_kept_out_of_it_are_recognised() {
        assert!(!has_swap("Filename\tType\tSize\tUsed\tPriority\n"));
        assert!(has_swap("Filename\tType\n/dev/sda2 partition 100 0 -2\n"));
        assert!(!has_swap("Filename\tType\n/dev/zram0 partition 100 0 -2\n"));
        assert!(is_noswap(MOUNTS, "0:22"));
        assert!(!is_noswap(MOUNTS, "0:21"));
        assert!(!is_noswap(MOUNTS, "0:2"));
    }
}

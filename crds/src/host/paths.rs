//! Paths and permissions that a host may be given.

/// The longest path, and the longest name in it, in bytes.
const LONGEST: usize = 4000;
const LONGEST_NAME: usize = 255;

/// The kernel's own folders.
const KERNEL: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Whether this is an absolute path in its normal form that a file can have.
///
/// # Errors
/// It is none; why.
pub fn absolute(path: &str) -> Result<(), &'static str> {
    let Some(rest) = path.strip_prefix('/') else { return Err("must be an absolute path, such as /etc/nginx/tls.key") };
    if path.len() > LONGEST {
        return Err("is longer than 4000 bytes");
    }
    if path.chars().any(is_unseen) {
        return Err("holds a control character");
    }
    for name in rest.split('/') {
        match name {
            "" => return Err("must name a file: no `//`, and no `/` at the end"),
            "." | ".." => return Err("must not hold `.` or `..`"),
            name if name.len() > LONGEST_NAME => return Err("holds a name of more than 255 bytes"),
            _ => {}
        }
    }
    let is_in = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if KERNEL.into_iter().any(is_in) {
        return Err("is in a folder of the kernel");
    }
    Ok(())
}

/// Whether a file of this name holds what everybody may know although it stands in a Secret: a certificate, a public key.
#[must_use]
pub fn is_public(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|ending| ["crt", "cer", "pub"].iter().any(|public| ending == *public))
}

/// Whether this is a path in the repository: beside the document, or from the root with a leading `/`, and never outside.
///
/// # Errors
/// It is none; why.
pub(super) fn in_repository(path: &str) -> Result<(), &'static str> {
    let rest = path.strip_prefix('/').unwrap_or(path);
    if path.len() > LONGEST {
        return Err("is longer than 4000 bytes");
    }
    if path.chars().any(is_unseen) || path.contains('\\') {
        return Err("holds a control character or a backslash");
    }
    for name in rest.split('/') {
        match name {
            "" => return Err("must name a file of the repository"),
            ".git" => return Err("must not be in .git"),
            _ => {}
        }
    }
    Ok(())
}

/// What would not be seen in a listing, or would change how it is seen.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Reads permission bits: three octal digits, or four. Nothing if they are none.
#[must_use]
pub fn mode(text: &str) -> Option<u32> {
    let is_octal = text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    ((3..=4).contains(&text.len()) && is_octal).then(|| u32::from_str_radix(text, 8).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_normal_paths_are_taken() {
        for good in ["/etc/nginx/tls.key", "/a", "/a b/ü", "/...", "/devices", "/procedure/a", "/etc/.hidden"] {
            assert_eq!(absolute(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/",
            "a",
            "./a",
            "/a/",
            "/a//b",
            "/a/./b",
            "/../a",
            "/a/..",
            "/a\0b",
            "/a\nb",
            "/a\u{7f}",
            "/a\u{202e}b",
            "/proc/sys/kernel/core_pattern",
            "/sys",
            "/dev/sda",
            "//etc/passwd",
        ] {
            assert!(absolute(bad).is_err(), "{bad:?}");
        }
        assert!(absolute(&format!("/{}", "a".repeat(256))).is_err());
        assert!(absolute(&"/a".repeat(2001)).is_err());
    }

    #[test]
    fn permissions_are_octal_digits() {
        assert_eq!(mode("0440"), Some(0o440));
        assert_eq!(mode("600"), Some(0o600));
        assert_eq!(mode("4755"), Some(0o4755));
        for bad in ["", "44", "00440", "0o440", "0800", "-440", "+440", "rw-"] {
            assert_eq!(mode(bad), None, "{bad}");
        }
    }
}

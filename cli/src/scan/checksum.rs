//! What tells a made-up token from one that somebody issued.

/// The digits of base 62, as GitHub and npm write their checksums.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether the last six characters are the CRC-32 of those before, in base 62.
pub(super) fn ends_in_crc32(text: &[u8]) -> bool {
    let Some((body, checksum)) = text.split_last_chunk::<6>() else { return false };
    let mut rest = crc32(body);
    checksum.iter().rev().all(|digit| {
        let is_it = BASE62[(rest % 62) as usize] == *digit;
        rest /= 62;
        is_it
    })
}

/// The CRC-32 of zip, PNG and Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// How many bits a character says, by how often each is there: 0 for `aaaa`, 4 for even hexadecimal, 6 for even base64.
pub(super) fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    #[expect(clippy::cast_precision_loss, reason = "texts are short")]
    let length = bytes.len() as f64;
    let share = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length);
    -share.map(|share| share * share.log2()).sum::<f64>()
}

/// Whether it goes up or down step by step, or repeats itself: nobody issues `abcdefgh12345678`.
pub(super) fn is_sequence(bytes: &[u8]) -> bool {
    if bytes.len() < 4 {
        return false;
    }
    let steps = bytes.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 1).count();
    let is_periodic = |period: usize| bytes.iter().zip(&bytes[period..]).all(|(a, b)| a == b);
    steps * 10 >= (bytes.len() - 1) * 7 || (1..=bytes.len() / 3).any(is_periodic)
}

#[cfg(test)]
mod tests {
    use super::{ends_in_crc32, entropy, is_sequence};

    #[test]
    fn the_checksum_is_that_of_a_token_that_github_once_issued() {
        // From the description of the format; revoked in 2021.
        let body = concat!("zQWBuTSOoRi4A9spHcVY5", "ncnsDkxkJ");
        assert!(ends_in_crc32(format!("{body}0mLq17").as_bytes()));
        assert!(!ends_in_crc32(format!("{body}0mLq18").as_bytes()));
        assert!(!ends_in_crc32(b"0mLq1"));
    }

    #[test]
    fn entropy_and_sequences_tell_the_made_up_from_the_random() {
        assert!(entropy(b"aaaaaaaa") < 0.1 && (entropy(b"0123456789abcdef") - 4.0).abs() < 0.01);
        for made_up in ["abcdefgh12345678", "0123456789abcdef", "xxxxxxxxxxxx", "abcabcabcabc", "ZYXWVUTSRQ"] {
            assert!(is_sequence(made_up.as_bytes()), "{made_up}");
        }
        for random in ["k3J9sQp1Zx", "hunter2", "c0ffee12ab34"] {
            assert!(!is_sequence(random.as_bytes()), "{random}");
        }
    }
}

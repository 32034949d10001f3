//! PEM with private keys in it, read without leaving copies of them behind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One block.
pub(super) struct Block<'a> {
    /// What stands after BEGIN.
    pub(super) label: &'a str,
    /// The content, wiped in the end.
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// The blocks of a text, which may hold anything between them; `None` for one that is not as it has to be: without an
/// end, or with something else than base64 in it, such as the headers of a key under a passphrase.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = Option<Block<'_>>> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let begin = lines.find_map(|line| line.strip_prefix("-----BEGIN "))?;
        // Long enough from the start: a buffer that grew would leave its older, shorter self in memory.
        let length = lines.clone().take_while(|line| !line.starts_with("-----END ")).map(str::len).sum();
        let mut body = Zeroizing::new(String::with_capacity(length));
        let is_closed = lines.by_ref().any(|line| {
            let is_end = line.starts_with("-----END ");
            if !is_end {
                body.push_str(line.trim_end());
            }
            is_end
        });
        let label = begin.split_once("-----").map(|(label, _)| label);
        Some(label.filter(|_| is_closed).and_then(|label| {
            let mut der = Zeroizing::new(vec![0; base64::decoded_len_estimate(body.len())]);
            let length = STANDARD.decode_slice(body.as_bytes(), &mut der).ok()?;
            der.truncate(length);
            Some(Block { label, der })
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn blocks_are_found_among_other_lines_and_broken_ones_are_told() {
        let text = "subject=x\n-----BEGIN A KEY-----\r\nAQID\r\nBA==\r\n-----END A KEY-----\nbetween\n\
                    -----BEGIN B-----\n-----END B-----\n-----BEGIN C-----\nProc-Type: 4,ENCRYPTED\n-----END C-----\n\
                    -----BEGIN D\n-----END D-----\n-----BEGIN E-----\nAQID\n";
        let found: Vec<_> = blocks(text).map(|block| block.map(|block| (block.label, block.der.to_vec()))).collect();
        assert_eq!(found, [Some(("A KEY", vec![1, 2, 3, 4])), Some(("B", vec![])), None, None, None]);
    }
}

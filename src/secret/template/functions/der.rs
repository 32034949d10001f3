//! The few rules of DER that keys and PKCS #12 files need; nothing is copied while reading.

use zeroize::Zeroizing;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const BMP: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// `[0]` around something else.
pub(super) const EXPLICIT_0: u8 = 0xa0;
/// `[1]` around something else.
pub(super) const EXPLICIT_1: u8 = 0xa1;

/// The elements that follow each other in a piece of DER.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// All of `der`.
    pub(super) const fn of(der: &'a [u8]) -> Self {
        Self(der)
    }

    /// Whether there are no more.
    pub(super) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The identifier of the next element.
    pub(super) fn peek(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element, of any kind: its identifier, its content, and all of its bytes.
    pub(super) fn any(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let (&identifier, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length: usize, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some((identifier, content, whole))
    }

    /// The content of the next element, which must be of this kind.
    pub(super) fn next(&mut self, identifier: u8) -> Option<&'a [u8]> {
        if self.peek()? != identifier {
            return None;
        }
        self.any().map(|(_, content, _)| content)
    }

    /// The elements inside the next one.
    pub(super) fn inside(&mut self, identifier: u8) -> Option<Self> {
        self.next(identifier).map(Self)
    }

    /// A whole number that is not negative and not longer than four bytes.
    pub(super) fn number(&mut self) -> Option<u32> {
        let digits = self.next(INTEGER)?;
        let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
        (digits.len() <= 4).then(|| digits.iter().fold(0, |number, digit| number << 8 | u32::from(*digit)))
    }
}

/// The only element of a piece of DER, which must be of this kind.
pub(super) fn only(der: &[u8], identifier: u8) -> Option<Elements<'_>> {
    let mut elements = Elements::of(der);
    let inside = elements.inside(identifier)?;
    elements.is_empty().then_some(inside)
}

/// Writes an element whose content is the `parts`, one after the other.
pub(super) fn element(identifier: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut der = Zeroizing::new(Vec::with_capacity(length + 6));
    der.push(identifier);
    match length {
        0..=0x7f => der.push(u8::try_from(length).unwrap_or(0)),
        _ => {
            let digits = length.to_be_bytes();
            let digits = digits.get(digits.iter().position(|digit| *digit != 0).unwrap_or(0)..).unwrap_or_default();
            der.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
            der.extend_from_slice(digits);
        }
    }
    for part in parts {
        der.extend_from_slice(part);
    }
    der
}

/// Writes a whole number that is not negative, given by its big-endian digits.
pub(super) fn integer(digits: &[u8]) -> Zeroizing<Vec<u8>> {
    let start = digits.iter().position(|digit| *digit != 0).unwrap_or(digits.len());
    let digits = digits.get(start..).unwrap_or_default();
    match digits.first() {
        Some(first) if *first < 0x80 => element(INTEGER, &[digits]),
        _ => element(INTEGER, &[&[0], digits]),
    }
}

//! SealedSecrets compared and merged by data key.
//!
//! | module | what it is |
//! | --- | --- |
//! | `seal` | what the seal of a value tells without a key |
//! | `pairing` | which object of one text is which of another |
//! | `entries` | the entries of one object, merged by data key |
//! | `three_way` | whole texts, merged and checked |
//! | `text` | texts merged line by line, by Git |
//! | `conflict` | conflicts as they stand in a file |
//! | `shown` | a file with what seals tell in place of ciphertext |
//! | `resolve` | the sealed values in conflict in a file, and which side's to take |
//! | `compare` | two versions of a file, compared by what their seals tell |

pub(crate) mod compare;
pub(crate) mod conflict;
mod entries;
mod pairing;
pub(crate) mod resolve;
pub(crate) mod seal;
pub(crate) mod shown;
pub(crate) mod text;
pub(crate) mod three_way;

pub(crate) use self::entries::{Side, Why};

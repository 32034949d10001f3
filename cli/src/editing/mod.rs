//! Sealed values in an editor.
//!
//! | module | what it is |
//! | --- | --- |
//! | `chosen` | which SealedSecret of a file, and the place that its values are bound to |
//! | `sheet` | the text that a person edits |
//! | `object` | the SealedSecret: opened, and changed where the person changed something |
//! | `storage` | where the text is meanwhile: in memory, in a folder that is gone afterwards |
//! | `keeper` | a process that sees to that when this one is killed |
//! | `editor` | which editor, and how to keep it from leaving copies |
//! | `session` | signals, the end of the editor, and questions |

pub(crate) mod chosen;
mod editor;
mod keeper;
mod object;
mod session;
pub(crate) mod sheet;
mod storage;

pub(crate) use self::editor::Editor;
pub(crate) use self::keeper::keep;
pub(crate) use self::object::{Changes, Object, Sought};
pub(crate) use self::session::{Ended, Session};
pub(crate) use self::storage::{Folder, Memory, is_memory};

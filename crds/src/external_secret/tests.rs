//! What must deserialize, and what it must become.

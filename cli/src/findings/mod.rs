//! What a check found: how it is told, and which findings are known already.

//! A rebuild, rehearsed.

//! A repository is followed by the real git, over every transport and against every trick.

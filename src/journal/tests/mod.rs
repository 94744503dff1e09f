//! The journal broken on purpose.

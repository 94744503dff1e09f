//! (room)

pub mod parse;

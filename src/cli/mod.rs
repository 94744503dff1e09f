//! (room)

pub mod parse;
pub mod ship;

//! (room)
pub mod ship;

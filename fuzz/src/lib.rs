//! What the fuzz targets have in common. A target is a few lines over one of these: which parser, and what must hold.

pub mod disk;
pub mod edits;
pub mod lines;

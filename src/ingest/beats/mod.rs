//! The Lumberjack receiver: versions 1 and 2, plain and TLS.

mod budget;
mod connection;
mod counters;
mod outstanding;
mod server;
mod window;

pub use budget::Budget;
pub use counters::{AckHook, CloseReason, Counters};
pub use server::{Server, Settings};
pub use window::{Malformed, Progress, Window, Windows};

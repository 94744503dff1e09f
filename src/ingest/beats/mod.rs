//! The Lumberjack receiver: versions 1 and 2, plain and TLS.

mod budget;
mod connection;
mod counters;
mod server;
pub mod tls;
mod window;

pub use budget::Budget;
pub use counters::{CloseReason, Counters};
pub use server::{Server, Settings};
pub use window::{Step, Window, WindowReader};

//! loghound about itself: its metrics, every name in one file, and its own log.

mod logs;
mod metrics;
pub mod names;

pub use logs::{LogFormat, LogSettingsError, init as init_logs};
pub use metrics::Metrics;

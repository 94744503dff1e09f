//! A Lumberjack v2 client: it ships events as Filebeat does, and measures the receiver while it does so.
//!
//! [`send`] is one connection: windows out, acknowledgements in, two windows in flight, everything unacknowledged sent
//! again after any error (PROTOCOLS.md 1.3 and 1.5 say what Filebeat's client does; this one does the same).
//! [`Traffic`] makes klog and Envoy lines as a busy cluster writes them, [`Envelope`] wraps a line the way Filebeat's
//! `filestream` input with `add_kubernetes_metadata` does. This room knows no other room but `record::time`.

mod connection;
mod envelope;
mod pace;
mod random;
mod sender;
mod stats;
#[cfg(test)]
mod tests;
mod traffic;
mod window;

pub use connection::{ConnectError, Tls};
pub use envelope::{Envelope, Workload};
pub use pace::Pace;
pub use random::Random;
pub use sender::{Options, SendError, Windows, send};
pub use stats::{LatencyReport, Report, Stats};
pub use traffic::{Incident, Kind, Traffic};
pub use window::{Window, WindowBuilder};

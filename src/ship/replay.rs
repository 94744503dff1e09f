//! Traffic for a demonstration: what "happened" until now as fast as it is taken, then on as the clock goes.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{Options, SendError, Stats, Traffic, WindowBuilder, Windows, send};

/// Which traffic to replay.
#[derive(Debug, Clone, Copy)]
pub struct Replay {
    pub seed: u64,
    /// How far before now it begins.
    pub history: Duration,
    /// Of the traffic's own clock, in the past and live.
    pub lines_per_second: f64,
}

/// Events a window of the past; live ones hold what came within [`LIVE_PAUSE`].
const WINDOW: u32 = 2048;
const LIVE_PAUSE: Duration = Duration::from_millis(300);

impl Replay {
    /// Sends until dropped; `now` gives Unix nanoseconds. Ends only with an error of `send`.
    pub async fn run(self, options: &Options, stats: &Stats, now: impl Fn() -> i64) -> Result<(), SendError> {
        let (windows, receiver) = mpsc::channel(1);
        let feeding = async {
            let history = i64::try_from(self.history.as_nanos()).unwrap_or(i64::MAX);
            let start = now().saturating_sub(history);
            let mut traffic = Traffic::new(self.seed, start).with_rate(self.lines_per_second);
            let mut builder = WindowBuilder::new(3);
            let mut event = Vec::with_capacity(4096);
            loop {
                event.clear();
                traffic.next_event(&mut event);
                builder.push(&event);
                let ahead_nanos = traffic.now_nanos() - now();
                if builder.len() < WINDOW && ahead_nanos < 0 {
                    continue;
                }
                if ahead_nanos >= 0 {
                    sleep(LIVE_PAUSE.max(Duration::from_nanos(ahead_nanos.unsigned_abs()))).await;
                }
                if let Some(window) = builder.finish()
                    && windows.send(window).await.is_err()
                {
                    return;
                }
            }
        };
        tokio::select! {
            sent = send(options, Windows::Channel(receiver), stats) => sent,
            () = feeding => Ok(()),
        }
    }
}

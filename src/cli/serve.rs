//! `loghound serve`: reads the configuration, starts the program, says where it listens and what to try next.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Args {
    /// A configuration file (YAML).
    #[arg(long, value_name = "FILE", env = "LOGHOUND_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where Filebeat's output.logstash connects.
    #[arg(long, value_name = "ADDR")]
    pub beats: Option<String>,
    /// Where the API listens.
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Listen on addresses other than loopback without authentication.
    #[arg(long)]
    pub insecure: bool,
}

impl Args {
    /// The configuration that file, environment and these flags make; all its problems as one [`super::Usage`].
    pub fn load(&self) -> anyhow::Result<crate::config::Config> {
        let mut flags = Vec::new();
        if let Some(data_dir) = &self.data_dir {
            flags.push(("data_dir", data_dir.display().to_string()));
        }
        flags.extend(self.beats.clone().map(|addr| ("beats.listen", addr)));
        flags.extend(self.http.clone().map(|addr| ("http.listen", addr)));
        if self.insecure {
            flags.push(("insecure", "true".to_owned()));
        }
        // A variable that is no text is none of ours.
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        crate::config::load(self.config.as_deref(), environment, &flags)
            .map_err(|problems| super::Usage(format!("the configuration cannot be used:\n{problems}")).into())
    }
}

const BEATS_DEFAULT: u16 = 5044;
const HTTP_DEFAULT: u16 = 8044;

/// What is printed once both ports are open. Programs wait for its first two lines: keep them as they are.
/// `program` is how this program was called, so that the commands can be pasted.
pub fn banner(beats: SocketAddr, http: SocketAddr, data_dir: &Path, program: &str) -> String {
    let beats_here = reachable(beats);
    let http_here = reachable(http);
    let server = if http_here.port() == HTTP_DEFAULT { String::new() } else { format!(" --server http://{http_here}") };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "beats  listening on {beats}\n\
         http   listening on {http}\n\
         data   {}\n\
         \n\
         try next:\n\
         \x20 {program} ship --to {beats_here} FILE\n\
         \x20 {program} query{server} 'level:E OR response_code:>=500'\n\
         \x20 curl 'http://{http_here}/api/v1/search?q=level:E&limit=10'\n",
        data_dir.display()
    );
    if beats.port() != BEATS_DEFAULT && beats.ip().is_loopback() {
        let _ = writeln!(text, "\nFilebeat:  output.logstash.hosts: [\"{beats}\"]");
    }
    text
}

/// The address under which a listener on all addresses is reached from this machine.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(a) if a.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], a.port())),
        SocketAddr::V6(a) if a.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, a.port())),
        addr => addr,
    }
}

/// How this program was called.
pub fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "loghound".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_tells_where_and_what_next() {
        let at = |text: &str| text.parse().unwrap();
        let text = banner(at("127.0.0.1:5044"), at("127.0.0.1:8044"), Path::new("./loghound-data"), "loghound");
        assert_eq!(
            text,
            "beats  listening on 127.0.0.1:5044\nhttp   listening on 127.0.0.1:8044\ndata   ./loghound-data\n\n\
             try next:\n  loghound ship --to 127.0.0.1:5044 FILE\n  \
             loghound query 'level:E OR response_code:>=500'\n  \
             curl 'http://127.0.0.1:8044/api/v1/search?q=level:E&limit=10'\n"
        );
        let text = banner(at("0.0.0.0:5044"), at("[::]:9000"), Path::new("d"), "./loghound");
        assert!(text.starts_with("beats  listening on 0.0.0.0:5044\nhttp   listening on [::]:9000\n"));
        assert!(text.contains("--server http://[::1]:9000") && text.contains("--to 127.0.0.1:5044"), "{text}");
    }
}

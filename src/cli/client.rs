//! The CLI's side of the HTTP API: one server, its answers, and its problems put in words for a terminal.

use anyhow::{Context, anyhow};
use reqwest::Url;
use reqwest::header::ACCEPT;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Usage;

/// Which server to ask.
#[derive(Debug, Clone, clap::Args)]
pub struct Server {
    /// The server to ask.
    #[arg(long, value_name = "URL", env = "LOGHOUND_SERVER", default_value = "http://127.0.0.1:8044", global = true)]
    pub server: String,
    /// The token to show, where the server asks for one.
    #[arg(long, value_name = "TOKEN", env = "LOGHOUND_TOKEN", hide_env_values = true, global = true)]
    pub token: Option<String>,
}

pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

/// The members of a problem (RFC 9457) that a terminal shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    detail: String,
    hint: Option<String>,
    rendered: Option<String>,
}

impl Client {
    pub fn new(server: &Server) -> anyhow::Result<Self> {
        let text =
            if server.server.contains("://") { server.server.clone() } else { format!("http://{}", server.server) };
        let base = Url::parse(&text)
            .ok()
            .filter(Url::has_host)
            .ok_or_else(|| Usage(format!("--server {:?} is not a URL: write http://HOST:PORT", server.server)))?;
        let builder = reqwest::Client::builder().user_agent(concat!("loghound/", env!("CARGO_PKG_VERSION")));
        // A proxy from the environment cannot reach this machine's own loopback.
        let builder = if is_loopback(&base) { builder.no_proxy() } else { builder };
        Ok(Self { http: builder.build().context("cannot set up the HTTP client")?, base, token: server.token.clone() })
    }

    /// Asks `path` with `parameters`, empty ones left out, and gives the successful response, its body unread.
    pub async fn ask(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        accept: &str,
    ) -> anyhow::Result<reqwest::Response> {
        self.send(reqwest::Method::GET, path, parameters, accept).await
    }

    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        parameters: &[(&str, &str)],
        accept: &str,
    ) -> anyhow::Result<reqwest::Response> {
        let mut url = self.base.join(path).with_context(|| format!("{} has no path {path}", self.base))?;
        url.query_pairs_mut().extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
        let mut request = self.http.request(method, url).header(ACCEPT, accept);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let sent = request.send().await;
        let response = sent.map_err(|err| self.unreachable(err))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await)
    }

    /// Whether `path` answers that all is well, and the text of its answer either way.
    pub async fn told(&self, path: &str) -> anyhow::Result<(bool, String)> {
        let url = self.base.join(path).with_context(|| format!("{} has no path {path}", self.base))?;
        let response = self.http.get(url).send().await.map_err(|err| self.unreachable(err))?;
        Ok((response.status().is_success(), response.text().await.context("the answer broke off")?))
    }

    pub async fn json<T: DeserializeOwned>(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<T> {
        let response = self.ask(path, parameters, "application/json").await?;
        response.json().await.with_context(|| format!("{} did not answer as a loghound does", self.base))
    }

    /// The same by POST.
    pub async fn post_json<T: DeserializeOwned>(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<T> {
        let response = self.send(reqwest::Method::POST, path, parameters, "application/json").await?;
        response.json().await.with_context(|| format!("{} did not answer as a loghound does", self.base))
    }

    /// The same with a body, which is read as the server likes.
    pub async fn post_body<T: DeserializeOwned>(&self, path: &str, body: String) -> anyhow::Result<T> {
        let url = self.base.join(path).with_context(|| format!("{} has no path {path}", self.base))?;
        let sent = self.http.post(url).header(ACCEPT, "application/json").body(body).send().await;
        let response = sent.map_err(|err| self.unreachable(err))?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        response.json().await.with_context(|| format!("{} did not answer as a loghound does", self.base))
    }

    /// The same by DELETE.
    pub async fn delete_json<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let response = self.send(reqwest::Method::DELETE, path, &[], "application/json").await?;
        response.json().await.with_context(|| format!("{} did not answer as a loghound does", self.base))
    }

    fn unreachable(&self, err: reqwest::Error) -> anyhow::Error {
        let server = self.base.as_str().trim_end_matches('/');
        if err.is_connect() {
            let text = format!(
                "nothing answers at {server}: start it with `loghound serve`, or name another with --server URL"
            );
            // The error's own chain says "connect" four times over; its end says why.
            let mut cause: &dyn std::error::Error = &err;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            return anyhow!("{text} ({cause})");
        }
        anyhow::Error::new(err).context(format!("{server} did not answer"))
    }
}

/// What a response that is no success says.
async fn refusal(response: reqwest::Response) -> anyhow::Error {
    let status = response.status();
    let body = response.bytes().await.unwrap_or_default();
    let Ok(problem) = serde_json::from_slice::<Problem>(&body) else {
        return anyhow!("the server answered {status}: is it a loghound?");
    };
    let text = problem_text(problem);
    if status.is_client_error() { Usage(text).into() } else { anyhow!("{text} ({status})") }
}

fn problem_text(problem: Problem) -> String {
    match problem.rendered {
        // The picture may hold the message and the hint already.
        Some(picture) => {
            let mut text = picture.clone();
            if !picture.contains(&problem.detail) {
                text = format!("{}\n{text}", problem.detail);
            }
            if let Some(hint) = problem.hint.filter(|hint| !picture.contains(hint.as_str())) {
                text = format!("{text}\nhint: {hint}");
            }
            text
        }
        None => match problem.hint {
            Some(hint) => format!("loghound: {}\nhint: {hint}", problem.detail),
            None => format!("loghound: {}", problem.detail),
        },
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_recognised() {
        for (url, loopback) in [
            ("http://127.0.0.1:8044", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:8044", true),
            ("http://localhost:8044/", true),
            ("http://10.0.0.1:8044", false),
            ("http://localhost.example.org", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), loopback, "{url}");
        }
    }

    #[test]
    fn a_problem_shows_each_thing_once() {
        let problem = |detail: &str, hint: Option<&str>, rendered: Option<&str>| {
            problem_text(Problem {
                detail: detail.into(),
                hint: hint.map(Into::into),
                rendered: rendered.map(Into::into),
            })
        };
        assert_eq!(problem("no", None, None), "loghound: no");
        assert_eq!(problem("no", Some("yes"), None), "loghound: no\nhint: yes");
        assert_eq!(problem("no", Some("yes"), Some("a\n^")), "no\na\n^\nhint: yes");
        assert_eq!(problem("no", Some("yes"), Some("1: no\na\n^\nhint: yes")), "1: no\na\n^\nhint: yes");
    }
}

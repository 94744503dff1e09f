//! The CLI's side of the HTTP API: one server, its answers, and its problems put in words for a terminal.

use std::path::{Path, PathBuf};

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
    /// A file that holds it.
    #[arg(long, value_name = "FILE", env = "LOGHOUND_TOKEN_FILE", global = true, conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// PEM file of the authorities to trust for https, in place of the system's.
    #[arg(long, value_name = "FILE", env = "LOGHOUND_CA", global = true)]
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate to show, its chain and its key.
    #[arg(long, value_name = "FILE", env = "LOGHOUND_IDENTITY", global = true)]
    pub identity: Option<PathBuf>,
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

fn with_certificates(
    mut builder: reqwest::ClientBuilder,
    server: &Server,
    base: &Url,
) -> anyhow::Result<reqwest::ClientBuilder> {
    // Plain HTTP asks no authority, and an image may have none.
    if server.ca.is_none() && base.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    }
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    if let Some(path) = &server.ca {
        let found = reqwest::Certificate::from_pem_bundle(&read(path)?);
        let found = found.with_context(|| format!("{} holds no PEM certificates", path.display()))?;
        if found.is_empty() {
            return Err(anyhow!("{} holds no PEM certificate", path.display()));
        }
        builder = builder.tls_certs_only(found);
    }
    if let Some(path) = &server.identity {
        let identity = reqwest::Identity::from_pem(&read(path)?);
        let hint = || format!("{} has to hold a certificate and its key, as PEM", path.display());
        builder = builder.identity(identity.with_context(hint)?);
    }
    Ok(builder)
}

fn token(server: &Server) -> anyhow::Result<Option<String>> {
    let Some(path) = &server.token_file else { return Ok(server.token.clone()) };
    let read = std::fs::read_to_string(path);
    let text = read.map_err(|error| Usage(format!("--token-file {}: {error}", path.display())))?;
    Ok(Some(text.trim().to_owned()))
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
        let builder = with_certificates(builder, server, &base)?;
        Ok(Self { http: builder.build().context("cannot set up the HTTP client")?, base, token: token(server)? })
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
        let sent = self.with_token(self.http.request(method, url)).header(ACCEPT, accept).send().await;
        let response = sent.map_err(|err| self.unreachable(err))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await)
    }

    fn with_token(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
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
        let request = self.with_token(self.http.post(url)).header(ACCEPT, "application/json");
        let response = request.body(body).send().await.map_err(|err| self.unreachable(err))?;
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
            let mut cause: &(dyn std::error::Error + 'static) = &err;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            if is_untrusted(cause) {
                return anyhow!(
                    "{server} shows a certificate that is not trusted ({cause}): name its authority with --ca FILE"
                );
            }
            return anyhow!("{text} ({cause})");
        }
        anyhow::Error::new(err).context(format!("{server} did not answer"))
    }
}

/// Whether a server was reached, and its certificate not believed.
fn is_untrusted(cause: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = cause.downcast_ref() {
        return matches!(error, rustls::Error::InvalidCertificate(_));
    }
    // An I/O error does not tell what it holds as its source.
    let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inner.is_some_and(|inner| is_untrusted(inner))
}

/// What a response that is no success says.
async fn refusal(response: reqwest::Response) -> anyhow::Error {
    let status = response.status();
    let body = response.bytes().await.unwrap_or_default();
    let Ok(problem) = serde_json::from_slice::<Problem>(&body) else {
        let line = std::str::from_utf8(&body).ok().and_then(|text| text.lines().next()).unwrap_or_default();
        // A page of a proxy is no line.
        let told = if line.is_empty() || line.starts_with('<') { "is it a loghound?" } else { line };
        return anyhow!("the server answered {status}: {told}");
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

//! `rushmall healthcheck`: one request to `GET /health`, for container and load balancer probes.

use std::time::Duration;

use super::cli::HealthcheckArgs;
use super::{OpsError, output, settings};

/// Asks once and prints `healthy`.
///
/// # Errors
/// [`OpsError::Remote`] if there is no answer in time or it is not 200; [`OpsError::Settings`].
pub async fn run(args: &HealthcheckArgs) -> Result<(), OpsError> {
    let base = match &args.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let settings = settings::loaded(args.config.as_deref(), Vec::new())?.settings;
            let scheme = if settings.has_tls() { "https" } else { "http" };
            format!("{scheme}://{}:{}", reachable(&settings.http.host), settings.http.port)
        }
    };
    let url = format!("{base}/health");
    let unreachable = |error: &reqwest::Error| OpsError::Remote(format!("{url}: {}", cause(error)));
    let client = client(&base, Duration::from_millis(args.timeout_ms)).map_err(|error| unreachable(&error))?;
    let answer = client.get(&url).send().await.map_err(|error| unreachable(&error))?;
    if !answer.status().is_success() {
        return Err(OpsError::Remote(format!("{url}: answered {}", answer.status())));
    }
    output::line("healthy");
    Ok(())
}

/// A client that never goes through a proxy; for plain HTTP it needs no certificates on this machine.
///
/// # Errors
/// [`reqwest::Error`] if TLS is needed and this machine has no root certificates.
pub fn client(base: &str, timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder().no_proxy().timeout(timeout).connect_timeout(timeout);
    if base.starts_with("https:") { builder.build() } else { builder.tls_certs_only([]).build() }
}

/// The innermost reason: "connection refused" says more than "error sending request".
#[must_use]
pub fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// A listening address as a client can reach it.
fn reachable(host: &str) -> &str {
    match host {
        "0.0.0.0" | "::" | "[::]" => "127.0.0.1",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A server that answers every request with `answer`; its URL.
    async fn answering(answer: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        actix_rt::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        format!("http://{address}/")
    }

    async fn ask(url: String) -> Result<(), OpsError> {
        run(&HealthcheckArgs { url: Some(url), config: None, timeout_ms: 15_000 }).await
    }

    #[actix_rt::test]
    async fn only_a_200_in_time_is_healthy() {
        ask(answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await).await.unwrap();
        let sick = ask(answering("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await).await;
        assert!(sick.unwrap_err().to_string().ends_with("answered 503 Service Unavailable"));
        let silent = ask(answering("").await).await.unwrap_err();
        assert_eq!(silent.exit_code(), 1);
        let nobody = ask("http://127.0.0.1:1".to_owned()).await.unwrap_err();
        assert!(nobody.to_string().to_lowercase().contains("refused"), "{nobody}");
    }
}

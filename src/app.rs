//! The composition root: configuration, ports, actors, HTTP.

use crate::config::Setup;

/// How `serve` was asked to start.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// Put the demo catalogue into an empty shop (never in production).
    pub demo: bool,
}

/// Runs the shop until a signal.
///
/// # Errors
/// If a part cannot be started.
#[expect(clippy::unused_async, reason = "the parts are joined here")]
pub async fn serve(_setup: Setup, _options: ServeOptions) -> anyhow::Result<()> {
    anyhow::bail!("serve is not built in yet")
}

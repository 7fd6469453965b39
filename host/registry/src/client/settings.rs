//! [`Settings`]: how long, how often and how much, with every default.
//!
//! The command line makes them; `connection` and `read` obey. Nothing here reads an
//! environment variable: a proxy is handed in.

use std::time::Duration;

use backon::ExponentialBuilder;

/// How registries are spoken to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a connection may take; 5 s by default.
    pub connect_timeout: Duration,
    /// How long a registry may say nothing; 30 s by default. Some look for a manifest in
    /// the storage of a cloud first.
    pub read_timeout: Duration,
    /// How long one request may take in all, with what it brings; 10 minutes by default,
    /// 256 MiB at 0.5 MB/s. It stops a registry that sends a byte now and then.
    pub timeout: Duration,
    /// How often a request is sent, if what fails may pass; 4 by default.
    pub attempts: usize,
    /// The first wait between attempts; 300 ms by default, then twice as long each time.
    pub first_delay: Duration,
    /// The longest such wait; 5 s by default.
    pub longest_delay: Duration,
    /// The longest `Retry-After` that is waited for; 60 s by default. Above it the
    /// request fails and says how long the registry wants to be left alone.
    pub longest_retry_after: Duration,
    /// Largest component; 256 MiB by default. It is held in memory.
    pub component_limit: u64,
    /// Largest manifest or index; 4 MiB by default, what registries themselves take
    /// ([distribution spec, pushing manifests]).
    ///
    /// [distribution spec, pushing manifests]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
    pub manifest_limit: u64,
    /// Largest attachment, such as a signature or an SBOM; 16 MiB by default.
    pub attachment_limit: u64,
    /// Proxy for registries that aren't on this machine; none by default.
    pub proxy: Option<String>,
    /// Hosts that are reached without it, as `NO_PROXY` lists them.
    pub no_proxy: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            timeout: Duration::from_mins(10),
            attempts: 4,
            first_delay: Duration::from_millis(300),
            longest_delay: Duration::from_secs(5),
            longest_retry_after: Duration::from_mins(1),
            component_limit: 256 * 1024 * 1024,
            manifest_limit: 4 * 1024 * 1024,
            attachment_limit: 16 * 1024 * 1024,
            proxy: None,
            no_proxy: None,
        }
    }
}

impl Settings {
    pub(super) fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.longest_delay)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
    }
}

//! [`Registry`]: Debian's docker-registry for one test; open to everybody, or with TLS and a
//! password.

#[path = "../../../host/registry/tests/network/daemon.rs"]
mod daemon;

use daemon::Kind;
pub(crate) use daemon::{Daemon as Registry, PASSWORD, USER, certificate};

/// How it is guarded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guard {
    pub(crate) tls: bool,
    pub(crate) password: bool,
}

impl Registry {
    /// Starts one that is open; says 'not run' where there is none.
    pub(crate) fn start() -> Option<Self> {
        Self::guarded(Guard::default())
    }

    /// Starts one.
    pub(crate) fn guarded(guard: Guard) -> Option<Self> {
        Self::serve(&Kind {
            tls: guard.tls,
            basic: guard.password,
            token: None,
        })
    }
}

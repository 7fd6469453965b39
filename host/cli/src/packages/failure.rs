//! Who can do something about what went wrong with a package, and the hint.

use darkroom_registry::cache::CacheError;
use darkroom_registry::client::{Fault, RegistryError};
use darkroom_registry::config::ConfigError;
use darkroom_registry::copy::CopyError;
use darkroom_registry::name::NameError;
use darkroom_registry::publish::PublishError;
use darkroom_registry::pull::PullError;
use darkroom_registry::resolve::ResolveError;
use darkroom_registry::sign::KeyError;
use darkroom_registry::versions::NoVersion;

use crate::failure::{Failure, Kind};

/// Whose turn it is after a registry has refused or failed.
pub(super) fn of_registry(error: &RegistryError) -> Kind {
    match *error.fault {
        Fault::NotFound => Kind::User,
        Fault::Unauthorized { .. }
        | Fault::NoToken { .. }
        | Fault::Forbidden { .. }
        | Fault::Credentials(_)
        | Fault::Plain
        | Fault::WantsHttps
        | Fault::Setup { .. }
        | Fault::Nowhere(_) => Kind::Config,
        _ => Kind::Cloud,
    }
}

/// The kind of what isn't the template's fault; `None` for what belongs to the line that
/// names the package.
pub(super) fn of_resolving(error: &ResolveError) -> Option<Kind> {
    match error {
        ResolveError::Registry(error) | ResolveError::Pull(PullError::Registry(error)) => {
            match of_registry(error) {
                Kind::User => None,
                kind => Some(kind),
            }
        }
        ResolveError::Cache(_) => Some(Kind::Config),
        _ => None,
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let hint = error.hint();
        Self::new(of_registry(&error), error).hint(hint)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = error.hint();
        Self::config(error).hint(hint)
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        let hint = error.hint();
        Self::user(error).hint(hint)
    }
}

impl From<PullError> for Failure {
    fn from(error: PullError) -> Self {
        let hint = error.hint();
        match error {
            PullError::Registry(error) => error.into(),
            error @ PullError::Layout { .. } => Self::user(error).hint(hint),
        }
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let hint = error.hint();
        match error {
            PublishError::Registry(error) => error.into(),
            error => Self::user(error).hint(hint),
        }
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Pull(error) => error.into(),
            CopyError::Publish(error) => error.into(),
            CopyError::Registry(error) => error.into(),
            error @ CopyError::TooMany { .. } => {
                let hint = error.hint();
                Self::user(error).hint(hint)
            }
        }
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        let hint = error.hint();
        let kind = of_resolving(&error).unwrap_or(Kind::User);
        Self::new(kind, error).hint(hint)
    }
}

impl From<Box<NoVersion>> for Failure {
    fn from(error: Box<NoVersion>) -> Self {
        let hint = error.hint();
        Self::user(error).hint(hint)
    }
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        let hint = error.hint().to_owned();
        Self::config(error).hint(hint)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let hint = error.hint().to_owned();
        Self::user(error).hint(hint)
    }
}

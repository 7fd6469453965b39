//! What the verbs that speak with registries share: the client, whom to trust, and from
//! what somebody wrote to a place in a registry.

use std::path::Path;
use std::sync::Arc;

use darkroom_registry::client::Client;
use darkroom_registry::layout;
use darkroom_registry::name::{At, Located, OciReference, PackageName, Reference};
use darkroom_registry::pull::Inspected;
use darkroom_registry::requirement::{Requirement, newest};
use darkroom_registry::resolve::ResolveError;
use darkroom_registry::sign::Signature;
use darkroom_registry::trust::{Candidate, Policy, Verdict};
use darkroom_registry::versions::NoVersion;
use semver::Version;

use crate::failure::Failure;
use crate::packages;
use crate::settings::Config;

/// A reference means any of several versions.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` does not name one version")]
struct Vague(String);

/// Where something is, and as what it was asked for.
pub(super) struct Asked {
    pub(super) reference: OciReference,
    /// The name that was written; none of what was asked for by its place.
    name: Option<PackageName>,
}

/// Registries, as this user has configured them.
pub(super) struct Desk {
    pub(super) client: Client,
    policy: Arc<Policy>,
    /// The hosts that darkroom's own files name.
    pub(super) hosts: Vec<String>,
}

/// A package's signatures, and what the policy says of them.
pub(super) struct Judged {
    pub(super) signatures: Vec<Signature>,
    pub(super) verdict: Verdict,
}

impl Desk {
    /// As the current folder's and the user's files say.
    pub(super) fn open() -> Result<Self, Failure> {
        let config = Config::load(Path::new("."))?;
        let places = config.registries();
        let mut hosts: Vec<String> = places
            .map(|(_, place)| place.split('/').next().unwrap_or(place).to_owned())
            .collect();
        hosts.sort();
        hosts.dedup();
        Ok(Self {
            client: packages::client(&config)?,
            policy: packages::policy(&config)?,
            hosts,
        })
    }

    /// Whether there is a policy at all.
    pub(super) fn is_checked(&self) -> bool {
        self.policy.is_checked()
    }

    /// The place of what was asked for; of a package the newest version that will do.
    pub(super) async fn place(&self, text: &str) -> Result<Asked, Failure> {
        let (name, requirement) = match text.parse()? {
            Reference::Oci(reference) => {
                let name = None;
                return Ok(Asked { reference, name });
            }
            Reference::Package { name, requirement } => (name, requirement),
        };
        let located = self.client.locate(&name).await?;
        if let Some(version) = requirement.as_ref().and_then(exact) {
            let reference = located.tagged(layout::tag(&version));
            let name = Some(name);
            return Ok(Asked { reference, name });
        }
        let versions = self.client.versions(&located).await?;
        match newest(requirement.as_ref(), &versions) {
            Some(version) => Ok(Asked {
                reference: located.tagged(layout::tag(version)),
                name: Some(name),
            }),
            None => Err(Box::new(NoVersion {
                name,
                located,
                requirement,
                versions,
                yanked: Vec::new(),
            })
            .into()),
        }
    }

    /// The same, of what names one version and no other.
    pub(super) async fn one(&self, text: &str) -> Result<Asked, Failure> {
        if let Reference::Package { requirement, .. } = text.parse()?
            && requirement.as_ref().and_then(exact).is_none()
        {
            return Err(Failure::user(Vague(text.to_owned()))
                .hint("write the whole version, such as acme:web@1.2.3"));
        }
        self.place(text).await
    }

    /// Reads the signatures of a package and judges them, under the name that was asked
    /// for. Only what was asked for by its place is called what configuration says of it.
    pub(super) async fn judge(
        &self,
        asked: &Asked,
        inspected: &Inspected,
    ) -> Result<Judged, Failure> {
        let Asked { reference, name } = asked;
        let located = &reference.located;
        if let Some(name) = name
            && let Some(found) = inspected.layout.other_name(name)
        {
            return Err(ResolveError::OtherName {
                name: name.clone(),
                located: located.clone(),
                found,
            }
            .into());
        }
        let digest = inspected.manifest.digest;
        let referrers = self.client.referrers(located, &digest).await?;
        let attached = self.client.signatures(located, &digest, &referrers).await?;
        let signatures: Vec<_> = attached
            .iter()
            .filter_map(darkroom_registry::referrers::Attachment::to_signature)
            .collect();
        let configured = || self.client.registries().package_at(located);
        let package = name.clone().or_else(configured);
        let version = version_of(reference, inspected);
        let verdict = self.policy.judge(&Candidate {
            called: &reference.to_string(),
            package: package.as_ref(),
            version: version.as_ref(),
            manifest: digest,
            signatures: &signatures,
        });
        Ok(Judged {
            signatures,
            verdict,
        })
    }
}

/// The place of a package without a version: `ns:name`, or `host/repository`, also with a
/// tag.
pub(super) async fn located(desk: &Desk, text: &str) -> Result<Located, Failure> {
    if text.contains('/') {
        let plain = text.parse::<Located>();
        return match text.parse::<OciReference>() {
            Ok(reference) => Ok(reference.located),
            Err(_) => Ok(plain?),
        };
    }
    match text.parse()? {
        Reference::Oci(reference) => Ok(reference.located),
        Reference::Package { name, .. } => Ok(desk.client.locate(&name).await?),
    }
}

/// The version that a reference or else the package itself names.
pub(super) fn version_of(reference: &OciReference, inspected: &Inspected) -> Option<Version> {
    let tag = match &reference.at {
        At::Tag(tag) => layout::version(tag),
        At::Digest(_) => None,
    };
    tag.or_else(|| inspected.layout.version()?.parse().ok())
}

/// The version that a requirement names, if it is only one.
pub(super) fn exact(requirement: &Requirement) -> Option<Version> {
    let text = requirement.to_string();
    text.strip_prefix('=').unwrap_or(&text).parse().ok()
}

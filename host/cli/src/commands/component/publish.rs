//! `darkroom component publish`: a component to a registry, with what is attached to it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, ValueHint};
use darkroom_registry::config::{Registries, Source};
use darkroom_registry::layout::{self, Metadata};
use darkroom_registry::name::{At, Located, OciReference, PackageName, Reference};
use darkroom_registry::publish::{Before, With};
use darkroom_registry::referrers::Attachment;
use darkroom_registry::sign::{Password, PrivateKey};
use darkroom_runtime::pack::{self, CONTRACT_PACKAGE};
use jiff::Timestamp;
use semver::Version;
use serde_json::json;
use zeroize::Zeroizing;

use super::desk::{Desk, exact};
use crate::component::{self, FileError};
use crate::exit::{self, Exit};
use crate::failure::{Failure, Kind};
use crate::terminal::Terminal;

/// Publish a component to a registry, and sign it
///
/// Name and version are those that the component says of itself; REF says them where it
/// doesn't, and where to publish in place of the registry of its namespace. A version is
/// published once: other content under it is refused. The SBOM and the build statement
/// that lie beside the file are attached to it.
///
/// The password of a key is asked for, or taken from `DARKROOM_KEY_PASSWORD` or
/// `COSIGN_PASSWORD`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component publish greeting.wasm --sign cosign.key\n  \
    darkroom component publish web.wasm acme:web@1.2.0\n  \
    darkroom component publish web.wasm ghcr.io/acme/web:1.2.0\n  \
    darkroom component publish greeting.wasm --registry localhost:5000/team")]
pub(super) struct Publish {
    /// The component, as `darkroom component build` makes it
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// What it is published as: NAMESPACE:NAME@VERSION, or HOST/REPOSITORY:VERSION
    #[arg(value_name = "REF")]
    reference: Option<String>,
    /// Publish it here, as HOST/PATH/NAMESPACE/NAME, and not where its namespace is
    #[arg(long, value_name = "HOST[/PATH]")]
    registry: Option<String>,
    /// Sign it with this private key of P-256, as openssl or cosign make it
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath)]
    sign: Option<PathBuf>,
    /// Replace other content that is there under this version
    #[arg(long)]
    force: bool,
}

/// Why something isn't published.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{file:?} does not say its {what}")]
    Unsaid { file: PathBuf, what: &'static str },
    #[error("the component says that it is {says}, and is to be published as {asked}")]
    Other { says: String, asked: String },
    #[error("`{0}` does not name one version")]
    Vague(String),
    #[error("{0} says where to publish, and so does `--registry`")]
    TwoPlaces(OciReference),
    #[error("the key {0:?} is encrypted, and nobody can be asked for its password")]
    NoPassword(PathBuf),
}

impl From<Refused> for Failure {
    fn from(error: Refused) -> Self {
        let hint = match &error {
            Refused::Unsaid { .. } => {
                "name it: darkroom component publish FILE acme:web@1.2.0, or build it with --name and --version"
            }
            Refused::Other { .. } => "build it with that --name and --version, or leave REF out",
            Refused::Vague(_) => "write the whole version, such as acme:web@1.2.0",
            Refused::TwoPlaces(_) => "leave one of them out",
            Refused::NoPassword(_) => "set DARKROOM_KEY_PASSWORD or COSIGN_PASSWORD",
        };
        Self::user(error).hint(hint)
    }
}

/// Where something is published, and as what.
struct Target {
    located: Located,
    name: PackageName,
    version: Version,
}

/// A file that is to be published, and what it says of itself.
struct Candidate {
    bytes: Vec<u8>,
    digest: String,
    says: pack::Metadata,
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Publish {
    pub(super) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let candidate = Candidate::read(&self.file)?;
        let attached = component::attachments(&self.file, &candidate.digest);
        let attached = attached.map_err(|error| {
            let hint = error.hint();
            let failure = Failure::user(error);
            hint.into_iter().fold(failure, Failure::hint)
        })?;
        // Before anything is uploaded.
        let key = match &self.sign {
            Some(file) => Some(key(file, terminal).await?),
            None => None,
        };
        let desk = Desk::open()?;
        let target = self.target(&desk, &candidate.says).await?;
        let metadata = candidate.metadata(&target);
        let client = &desk.client;
        let bytes = Bytes::from(candidate.bytes);
        let attachments: Vec<_> = attached
            .iter()
            .map(|one| Attachment::new(one.media_type, one.bytes.clone()))
            .collect();
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let with = With {
            attachments: &attachments,
            key: key.as_ref(),
            signed_at: Some(&now),
            force: self.force,
        };
        let published = client
            .publish(&target.located, bytes, &metadata, &with)
            .await?;
        let digest = &published.manifest_digest;
        let signer = published.signer.map(|signer| signer.to_string());
        let before = match published.before {
            Before::Nothing => "nothing",
            Before::Same => "same",
            Before::Other(_) => "other",
        };
        let types: Vec<_> = attached.iter().map(|one| one.media_type).collect();
        terminal.json(&json!({
            "package": target.name,
            "version": target.version.to_string(),
            "registry": target.located.to_string(),
            "digest": published.component_digest,
            "manifest": digest,
            "before": before,
            "attached": types,
            "signer": signer,
        }));
        let state = match published.before {
            Before::Nothing => "",
            Before::Same => "  was there already",
            Before::Other(_) => "  in place of other content",
        };
        terminal.line(format!(
            "{}@{}  {}{state}",
            target.name, target.version, published.reference
        ));
        terminal.line(format!("  manifest  {digest}"));
        for kind in types {
            terminal.line(format!("  attached  {kind}"));
        }
        match signer {
            Some(signer) => terminal.line(format!("  signed    {signer}")),
            None => terminal.note("  not signed: `--sign KEY` signs it"),
        }
        Ok(exit::DONE)
    }

    async fn target(&self, desk: &Desk, says: &pack::Metadata) -> Result<Target, Failure> {
        let unsaid = |what| Refused::Unsaid {
            file: self.file.clone(),
            what,
        };
        let said_name = says
            .name
            .as_deref()
            .map(str::parse::<PackageName>)
            .transpose()?;
        let said_version = says.version.as_deref().map(str::parse::<Version>);
        let said_version = said_version.transpose().map_err(Failure::user)?;
        let reference = self.reference.as_deref().map(str::parse).transpose()?;
        let (located, name, version) = match reference {
            None => (None, None, None),
            Some(Reference::Package { name, requirement }) => {
                let version = match requirement {
                    Some(asked) => match exact(&asked) {
                        Some(version) => Some(version),
                        None => return Err(Refused::Vague(asked.to_string()).into()),
                    },
                    None => None,
                };
                (None, Some(name), version)
            }
            Some(Reference::Oci(reference)) if self.registry.is_some() => {
                return Err(Refused::TwoPlaces(reference).into());
            }
            Some(Reference::Oci(reference)) => {
                let version = match &reference.at {
                    At::Tag(tag) => layout::version(tag),
                    At::Digest(_) => None,
                };
                let Some(version) = version else {
                    return Err(Refused::Vague(reference.to_string()).into());
                };
                let registries = desk.client.registries();
                let named = || {
                    let named = registries.package_at(&reference.located);
                    // HOST/acme/web is made to hold acme:web.
                    let path = &reference.located.repository;
                    named.or_else(|| path.replacen('/', ":", 1).parse().ok())
                };
                let name = if said_name.is_none() { named() } else { None };
                (Some(reference.located), name, Some(version))
            }
        };
        let agree = |says: String, asked: String| Refused::Other { says, asked };
        if let (Some(says), Some(asked)) = (&said_name, &name)
            && says != asked
        {
            return Err(agree(says.to_string(), asked.to_string()).into());
        }
        if let (Some(says), Some(asked)) = (&said_version, &version)
            && says != asked
        {
            return Err(agree(says.to_string(), asked.to_string()).into());
        }
        let name = said_name.or(name).ok_or_else(|| unsaid("name"))?;
        let version = said_version.or(version).ok_or_else(|| unsaid("version"))?;
        let located = match (located, &self.registry) {
            (Some(located), _) => located,
            (None, Some(place)) => below(place, &name)?,
            (None, None) => desk.client.locate(&name).await?,
        };
        Ok(Target {
            located,
            name,
            version,
        })
    }
}

/// Where a package lies below a place.
fn below(place: &str, name: &PackageName) -> Result<Located, Failure> {
    let mut here = Registries::new();
    here.map(name.namespace(), place)?;
    match here.source(name)? {
        Source::Fixed(base) => Ok(base.locate(name)),
        Source::WellKnown(host) => Err(Failure::internal(host)),
    }
}

impl Candidate {
    /// Reads the file: a component, or the contract as a WIT package.
    fn read(file: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read(file).map_err(|source| {
            Failure::user(FileError {
                path: file.to_owned(),
                verb: "read",
                source,
            })
        })?;
        if pack::wit_package().is_ok_and(|contract| contract == bytes) {
            let (name, version) = CONTRACT_PACKAGE.split_once('@').unwrap_or_default();
            return Ok(Self {
                digest: darkroom_contract::sha256(&bytes),
                bytes,
                says: pack::Metadata {
                    name: Some(name.into()),
                    version: Some(version.into()),
                    ..pack::Metadata::default()
                },
                imports: Vec::new(),
                exports: Vec::new(),
            });
        }
        let look = pack::look(&bytes, &file.display().to_string()).map_err(|error| {
            let hint = error.hint().map(str::to_owned);
            let failure = Failure::new(Kind::Component, error);
            hint.into_iter().fold(failure, Failure::hint)
        })?;
        if let Some(mistake) = look.metadata.mistakes().into_iter().next() {
            let hint = mistake.hint().to_owned();
            return Err(Failure::new(Kind::Component, mistake).hint(hint));
        }
        let contract = look.contract.as_deref().unwrap_or("0.1.0");
        let export = |name: &str| format!("darkroom:component/{name}@{contract}");
        let roles = look.roles.iter().map(|role| export(role.name()));
        Ok(Self {
            bytes,
            digest: look.digest,
            exports: std::iter::once(export("about")).chain(roles).collect(),
            imports: look.imports,
            says: look.metadata,
        })
    }

    /// What the manifest says of it.
    fn metadata(&self, target: &Target) -> Metadata {
        let mut metadata = Metadata::new(target.name.clone(), target.version.clone());
        let says = self.says.clone();
        metadata.description = says.description;
        metadata.licenses = says.licence;
        metadata.authors = says.authors;
        metadata.source = says.source;
        metadata.url = says.homepage;
        metadata.imports.clone_from(&self.imports);
        metadata.exports.clone_from(&self.exports);
        let others = [
            ("org.opencontainers.image.revision", says.revision),
            ("dev.darkroom.contract", says.contract),
        ];
        for (key, value) in others {
            let value = value.map(|value| (key.to_owned(), value));
            metadata.annotations.extend(value);
        }
        metadata
    }
}

/// Reads a private key, and asks for its password where it has one.
async fn key(file: &Path, terminal: &Terminal) -> Result<PrivateKey, Failure> {
    let text = std::fs::read_to_string(file).map_err(|source| {
        Failure::user(FileError {
            path: file.to_owned(),
            verb: "read",
            source,
        })
    })?;
    let text = Zeroizing::new(text);
    if !PrivateKey::is_encrypted(&text) {
        return Ok(PrivateKey::from_pem(&text, None)?);
    }
    let variables = ["DARKROOM_KEY_PASSWORD", "COSIGN_PASSWORD"];
    let password = match variables.iter().find_map(|name| std::env::var(name).ok()) {
        Some(password) => password,
        None if terminal.is_interactive() => {
            let prompt = format!("Password of {}", file.display());
            terminal
                .ask(move |theme| {
                    dialoguer::Password::with_theme(theme)
                        .with_prompt(prompt)
                        .interact()
                })
                .await?
        }
        None => return Err(Refused::NoPassword(file.to_owned()).into()),
    };
    Ok(PrivateKey::from_pem(&text, Some(&Password::new(password)))?)
}

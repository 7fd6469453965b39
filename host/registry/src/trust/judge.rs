//! The decision: a package, its signatures and a policy to a verdict.
//!
//! A pure function. A package is trusted when one of its signatures is good; of those that
//! aren't, the one that says most is reported: that a trusted key signed something else is
//! worse than that a stranger signed too.

use std::fmt;

use semver::Version;

use super::{Policy, Require, Rule, TrustedKey};
use crate::digest::Digest;
use crate::name::PackageName;
use crate::sign::{Bundle, COSIGN_PREDICATE_TYPE, Claims, KeyId, Signature, Subject, VerifyError};

/// More signatures than this are not looked at. Each costs a verification for every key,
/// and anybody who may write to the repository can attach more.
const MOST_SIGNATURES: usize = 64;

/// A package that is to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'p> {
    /// As messages call it, such as `acme:hardening@1.2.0`.
    pub called: &'p str,
    /// Its name. `None` for what is asked for by its place in a registry alone: only a
    /// rule for `*` fits that.
    pub package: Option<&'p PackageName>,
    /// The version that it is offered as, if it is offered as one.
    pub version: Option<&'p Version>,
    /// The digest of its manifest, of the very bytes that are at hand.
    pub manifest: Digest,
    /// Every signature that was found for it.
    pub signatures: &'p [Signature],
}

/// Who signed a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The key: what a lock records.
    pub id: KeyId,
    /// How the policy calls the key, such as `keys/acme.pub`.
    pub name: String,
}

/// What is to be done with a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A key that the policy trusts signed it.
    Trusted(Signer),
    /// It isn't signed as it should be, and the policy only warns.
    Warned(Refusal),
    /// The policy asks for nothing, or there is none.
    Unchecked,
    /// It must not be used.
    Refused(Refusal),
}

impl Verdict {
    /// Who signed it, as far as that was checked.
    pub fn signer(&self) -> Option<&Signer> {
        match self {
            Self::Trusted(signer) => Some(signer),
            _ => None,
        }
    }
}

/// A package that isn't trusted, with the rule that it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The package as it was called, such as `acme:hardening@1.2.0`.
    pub package: String,
    /// The policy's file.
    pub file: String,
    /// The rule's line and pattern; `None` when no rule fits the package.
    pub rule: Option<(usize, String)>,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a package's signatures, the least telling first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// No rule of the policy fits it.
    NoRule,
    /// Nobody signed it.
    Unsigned,
    /// Something is attached that can't be read as a signature; the text says why.
    Unreadable(String),
    /// Others signed it than those that the rule trusts.
    WrongKey {
        /// The keys that signed, as far as they are named.
        signers: Vec<String>,
        /// The keys that the rule trusts.
        trusted: Vec<String>,
    },
    /// It names a trusted key, and the signature isn't that key's of this content.
    Altered {
        /// The key that it names.
        key: String,
    },
    /// A trusted key signed it as another package or version.
    Renamed {
        /// The key.
        key: String,
        /// What it was signed as, such as `acme:hardening@1.0.0`.
        signed_as: String,
    },
    /// A trusted key signed another manifest, and the signature was moved to this one.
    Retagged {
        /// The key.
        key: String,
        /// The manifest that was signed, if the signature names one.
        signed: Option<Digest>,
        /// The manifest that is here.
        found: Digest,
    },
}

impl Policy {
    /// Judges a package.
    pub fn judge(&self, candidate: &Candidate<'_>) -> Verdict {
        let Some(rules) = &self.rules else {
            return Verdict::Unchecked;
        };
        let refusal = |rule: Option<&Rule>, why| Refusal {
            package: candidate.called.into(),
            file: self.file.clone(),
            rule: rule.map(|rule| (rule.line, rule.pattern.to_string())),
            why,
        };
        let fitting = rules
            .iter()
            .find(|rule| rule.pattern.fits(candidate.package));
        let Some(rule) = fitting else {
            return Verdict::Refused(refusal(None, Why::NoRule));
        };
        if rule.require == Require::None {
            return Verdict::Unchecked;
        }
        match signed(&rule.keys, candidate) {
            Ok(signer) => Verdict::Trusted(signer),
            Err(why) if rule.require == Require::Warn => Verdict::Warned(refusal(Some(rule), why)),
            Err(why) => Verdict::Refused(refusal(Some(rule), why)),
        }
    }
}

/// The signer of the first good signature, or what is worst about all of them.
fn signed(keys: &[TrustedKey], candidate: &Candidate<'_>) -> Result<Signer, Why> {
    let mut worst = Why::Unsigned;
    for signature in candidate.signatures.iter().take(MOST_SIGNATURES) {
        let why = match check(keys, candidate, signature) {
            Ok(signer) => return Ok(signer),
            Err(why) => why,
        };
        if let (Why::WrongKey { signers: all, .. }, Why::WrongKey { signers, .. }) =
            (&mut worst, &why)
        {
            all.extend(signers.iter().cloned());
            all.sort();
            all.dedup();
        } else if why > worst {
            worst = why;
        }
    }
    Err(worst)
}

fn check(
    keys: &[TrustedKey],
    candidate: &Candidate<'_>,
    signature: &Signature,
) -> Result<Signer, Why> {
    match signature {
        Signature::Bundle(bytes) => {
            let bundle =
                Bundle::parse(bytes).map_err(|error| Why::Unreadable(error.to_string()))?;
            check_bundle(keys, candidate, &bundle)
        }
        Signature::Legacy(legacy) => {
            for trusted in keys {
                match legacy.verify(&trusted.key) {
                    Err(VerifyError::Signature) => {}
                    Err(error) => return Err(Why::Unreadable(error.to_string())),
                    Ok(said) => {
                        let claims = Claims::from_annotations(&said.annotations);
                        return fits(trusted, candidate, Some(said.manifest), &claims);
                    }
                }
            }
            // It doesn't name its key: a stranger's and an altered one look the same.
            Err(stranger(keys, None))
        }
    }
}

fn check_bundle(
    keys: &[TrustedKey],
    candidate: &Candidate<'_>,
    bundle: &Bundle,
) -> Result<Signer, Why> {
    // Other things are attached and signed too, an SBOM, a provenance. They say nothing of
    // whether the package may be used.
    let predicate_type = bundle
        .unverified_statement()
        .map(|statement| statement.predicate_type);
    if predicate_type.is_some_and(|found| found != COSIGN_PREDICATE_TYPE) {
        return Err(Why::Unsigned);
    }
    let named = bundle.key_id();
    for trusted in keys {
        match bundle.verify(&trusted.key) {
            Ok(statement) => {
                let subject = statement.subject(&candidate.manifest);
                let first = statement.subjects.first();
                let manifest = match subject {
                    Some(_) => Some(candidate.manifest),
                    None => first.and_then(Subject::sha256),
                };
                let annotations = subject.or(first).map(|subject| &subject.annotations);
                let claims = annotations
                    .map(Claims::from_annotations)
                    .unwrap_or_default();
                return fits(trusted, candidate, manifest, &claims);
            }
            Err(VerifyError::Signature) if named == Some(trusted.key.id()) => {
                return Err(Why::Altered {
                    key: trusted.name.clone(),
                });
            }
            Err(VerifyError::Signature) => {}
            Err(error) => return Err(Why::Unreadable(error.to_string())),
        }
    }
    Err(stranger(keys, named))
}

/// Whether what a trusted key has signed is this package.
fn fits(
    trusted: &TrustedKey,
    candidate: &Candidate<'_>,
    manifest: Option<Digest>,
    claims: &Claims,
) -> Result<Signer, Why> {
    let key = trusted.name.clone();
    if manifest != Some(candidate.manifest) {
        return Err(Why::Retagged {
            key,
            signed: manifest,
            found: candidate.manifest,
        });
    }
    let package = candidate.package.map(PackageName::to_string);
    let version = candidate.version.map(Version::to_string);
    // Who says nothing, or is asked for nothing, contradicts nothing.
    let fits = |claim: &Option<String>, found: &Option<String>| {
        claim.is_none() || found.is_none() || claim == found
    };
    if !fits(&claims.package, &package) || !fits(&claims.version, &version) {
        let said = [
            claims.package.clone().or(package),
            claims.version.clone().or(version),
        ];
        let said: Vec<_> = said.into_iter().flatten().collect();
        return Err(Why::Renamed {
            key,
            signed_as: said.join("@"),
        });
    }
    Ok(Signer {
        id: trusted.key.id(),
        name: key,
    })
}

fn stranger(keys: &[TrustedKey], named: Option<KeyId>) -> Why {
    Why::WrongKey {
        signers: named.iter().map(KeyId::to_string).collect(),
        trusted: keys.iter().map(|key| key.name.clone()).collect(),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            package, file, why, ..
        } = self;
        match &self.rule {
            Some((line, pattern)) => {
                write!(
                    f,
                    "{package} fails the rule '{pattern}' ({file}:{line}): {why}"
                )
            }
            None => write!(f, "{package} is not trusted: {why} {file}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule => f.write_str("no rule fits it in"),
            Self::Unsigned => f.write_str("it isn't signed"),
            Self::Unreadable(why) => write!(f, "its signature can't be read: {why}"),
            Self::WrongKey { signers, trusted } => {
                let trusted = trusted.join(" or ");
                if signers.is_empty() {
                    write!(f, "it isn't signed by {trusted}, but by somebody else")
                } else {
                    let signers = signers.join(" and ");
                    write!(f, "it isn't signed by {trusted}, but by {signers}")
                }
            }
            Self::Altered { key } => write!(
                f,
                "its signature names {key}, and was altered: that key didn't sign this"
            ),
            Self::Renamed { key, signed_as } => {
                write!(f, "it was re-tagged: {key} signed it as {signed_as}")
            }
            Self::Retagged { key, signed, found } => {
                let signed = signed.map_or_else(|| "something else".into(), |one| one.to_string());
                write!(
                    f,
                    "its signature is of other content: {key} signed {signed}, this is {found}"
                )
            }
        }
    }
}

impl Refusal {
    /// What to do.
    pub fn hint(&self) -> String {
        let file = &self.file;
        match &self.why {
            Why::NoRule => {
                format!("add a rule for it to {file}; one for '*' with `require: none` lets all others pass")
            }
            Why::Unsigned => {
                "ask its publisher to sign it (`cosign sign --key …`, or `component publish --sign`)"
                    .into()
            }
            Why::Unreadable(_) => {
                "have it signed anew with a key: certificates and transparency logs are not understood"
                    .into()
            }
            Why::WrongKey { .. } => {
                format!("if you trust whoever signed it, add the public key to the rule's `keys` in {file}")
            }
            Why::Altered { .. } | Why::Retagged { .. } => {
                "don't use it; the registry holds something that its publisher didn't sign".into()
            }
            Why::Renamed { signed_as, .. } => {
                format!("don't use it under this name; ask for {signed_as}, which it is")
            }
        }
    }
}

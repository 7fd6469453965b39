//! Secrets: asked for when a run is driven, kept in memory, put in the place of their
//! markers at the last moment.
//!
//! Where a value comes from is the caller's to know ([`Ask`]): the engine reads neither
//! environment nor files and starts no command. A value is in no operation, no record and
//! no event; what stands there is the marker. A resume asks again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use darkroom_contract::secret::Marker;
use darkroom_template::SecretFrom;
use futures::future::BoxFuture;
use zeroize::Zeroizing;

use crate::mask::Masker;

/// The longest value: as an environment variable it must pass the kernel's limit of
/// 128 KiB, name and quotes included.
pub const LONGEST: usize = 64 << 10;

/// A value. It shows itself in no `Debug` output and is overwritten when it goes.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a secret's value can't be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret {name}: {problem}")]
pub struct SecretError {
    /// The secret, as the template calls it.
    pub name: String,
    /// What is wrong; never the value.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Asks a source for the secret of this name.
pub type Ask = Arc<
    dyn Fn(SecretFrom, String) -> BoxFuture<'static, Result<Secret, SecretError>> + Send + Sync,
>;

/// For runs of templates without secrets: refuses each.
pub fn none() -> Ask {
    Arc::new(|_, name| {
        let problem = "nobody can be asked for it".into();
        let hint = None;
        Box::pin(async {
            Err(SecretError {
                name,
                problem,
                hint,
            })
        })
    })
}

/// The values of a run's secrets.
#[derive(Default)]
pub struct Vault {
    values: BTreeMap<String, Secret>,
    masker: Masker,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values.keys()).finish()
    }
}

impl Vault {
    /// Asks for each of these secrets.
    ///
    /// # Errors
    /// The first that can't be had, or can't be used.
    pub async fn ask(secrets: &[(String, SecretFrom)], ask: &Ask) -> Result<Self, SecretError> {
        let mut values = BTreeMap::new();
        for (name, from) in secrets {
            let secret = ask(from.clone(), name.clone()).await?;
            check(name, secret.expose())?;
            values.insert(name.clone(), secret);
        }
        Ok(Self::of(values))
    }

    /// Of these values.
    pub fn of(values: BTreeMap<String, Secret>) -> Self {
        Self {
            masker: Masker::new(values.values().map(Secret::expose)),
            values,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What finds the values in outputs.
    pub fn masker(&self) -> &Masker {
        &self.masker
    }

    /// The secrets that are too short to be masked.
    pub fn short(&self) -> impl Iterator<Item = &str> {
        let short = |secret: &Secret| secret.expose().len() < crate::mask::SHORTEST;
        let values = self.values.iter();
        values
            .filter(move |(_, secret)| short(secret))
            .map(|(name, _)| name.as_str())
    }

    /// The text with the values in the place of their markers, each changed by `form`.
    ///
    /// # Errors
    /// A secret that the template doesn't name.
    pub(crate) fn fill(
        &self,
        text: &str,
        form: impl Fn(&str) -> String,
    ) -> Result<Zeroizing<String>, SecretError> {
        Marker::fill(text, |name| {
            self.values.get(name).map(|secret| form(secret.expose()))
        })
        .map(Zeroizing::new)
        .map_err(|unknown| SecretError {
            problem: "there is no such secret in this run".into(),
            name: unknown.0,
            hint: None,
        })
    }
}

/// Whether a value can be carried to an instance and used there.
fn check(name: &str, value: &str) -> Result<(), SecretError> {
    let problem = match value.len() {
        0 => "its value is empty".to_owned(),
        length if length > LONGEST => {
            format!("its value has {length} bytes; {LONGEST} are allowed")
        }
        _ if value.contains('\0') => "its value has a NUL character".to_owned(),
        _ => return Ok(()),
    };
    Err(SecretError {
        name: name.into(),
        problem,
        hint: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_shows_names_only_and_fills_markers() {
        let value = Secret::new("it's".into());
        let vault = Vault::of(BTreeMap::from([("db".to_owned(), value)]));
        assert_eq!(format!("{vault:?}"), r#"["db"]"#);
        let text = format!("a='{}'", Marker::of("db"));
        let filled = vault.fill(&text, crate::carry::wrap::escape).unwrap();
        assert_eq!(*filled, r"a='it'\''s'");
        let unknown = vault.fill(&Marker::of("other"), str::to_owned).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "the secret other: there is no such secret in this run"
        );
    }

    #[test]
    fn values_that_cannot_be_carried_are_refused() {
        for value in ["", "a\0b", &"x".repeat(LONGEST + 1)] {
            let said = check("db", value).unwrap_err().to_string();
            assert!(said.starts_with("the secret db: its value "), "{said}");
        }
        assert!(check("db", "x").is_ok());
    }
}

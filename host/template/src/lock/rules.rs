//! What a build and an update do to a lock, as functions without effects.

use std::fmt;

use super::{Lock, LockedComponent};
use crate::nearest::nearest;

/// A component that a template uses, and what its name stands for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// What stands after `@` in `uses`, if anything.
    pub requirement: Option<String>,
    /// The component that was found for it.
    pub found: LockedComponent,
}

/// What a build does with a component that isn't pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinning {
    /// It is pinned.
    Add,
    /// It is refused: `--locked`.
    Locked,
}

/// Why a lock doesn't let a component be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It isn't pinned, and nothing may be added.
    #[error("{name} is not in darkroom.lock")]
    Missing {
        /// As the template names it, without the version.
        name: String,
    },
    /// What is pinned is another one.
    #[error("{name} is not the component that darkroom.lock pins")]
    Moved {
        /// As the template names it, without the version.
        name: String,
        /// The version and digest that are pinned.
        pinned: Box<LockedComponent>,
        /// The version and digest that were found.
        found: Box<LockedComponent>,
    },
}

impl Refusal {
    /// The component that is refused.
    pub fn name(&self) -> &str {
        match self {
            Self::Missing { name } | Self::Moved { name, .. } => name,
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { .. } => {
                "build once without `--locked`, and keep darkroom.lock with the template".into()
            }
            Self::Moved {
                name,
                pinned,
                found,
            } => {
                let versions = if pinned.version == found.version {
                    format!("version {} has other content", found.version)
                } else {
                    format!("{} is pinned, {} is here", pinned.version, found.version)
                };
                format!("{versions}; to take it, run `darkroom update {name}`")
            }
        }
    }
}

/// What an update changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A component that wasn't pinned is.
    Added(LockedComponent),
    /// A component that isn't used any more is gone.
    Removed(LockedComponent),
    /// Another component is pinned under the name.
    Moved {
        /// Before.
        from: LockedComponent,
        /// After.
        to: LockedComponent,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(one) => write!(f, "added {}", one.reference()),
            Self::Removed(one) => write!(f, "removed {}", one.reference()),
            Self::Moved { from, to } if same(from, to) => {
                let from = to.registry.as_deref().unwrap_or("this installation");
                write!(f, "{} is the same, now from {from}", to.reference())?;
                match &to.signer {
                    Some(signer) => write!(f, ", signed by {signer}"),
                    None => Ok(()),
                }
            }
            Self::Moved { from, to } if from.version == to.version => {
                write!(f, "moved {} to other content", to.reference())
            }
            Self::Moved { from, to } => {
                write!(f, "moved {} to {}", from.reference(), to.version)
            }
        }
    }
}

/// A lock after an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// What is written.
    pub lock: Lock,
    /// What is different, in the order of the file.
    pub changes: Vec<Change>,
}

/// An update of something that the template doesn't use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the template doesn't use `{name}`")]
pub struct UpdateError {
    /// The name that was given.
    pub name: String,
    /// The name that was probably meant.
    pub nearest: Option<String>,
}

impl Lock {
    /// What a build makes of the lock: entries are added and none is moved or removed.
    ///
    /// # Errors
    /// Every component that the lock doesn't let the template use.
    pub fn pin(&self, used: &[Used], pinning: Pinning) -> Result<Self, Vec<Refusal>> {
        let mut refused: Vec<Refusal> = Vec::new();
        let mut components = self.components.clone();
        for one in used {
            let found = &one.found;
            let name = found.name.clone();
            let refusal = match self.find(&name, one.requirement.as_deref()) {
                Some(pinned) if same(pinned, found) => None,
                Some(pinned) => Some(Refusal::Moved {
                    name,
                    pinned: Box::new(pinned.clone()),
                    found: Box::new(found.clone()),
                }),
                None if pinning == Pinning::Locked => Some(Refusal::Missing { name }),
                None => {
                    components.push(found.clone());
                    None
                }
            };
            refused.extend(refusal.filter(|refusal| !refused.contains(refusal)));
        }
        if refused.is_empty() {
            Ok(Self::new(components))
        } else {
            Err(refused)
        }
    }

    /// What an update makes of the lock. Without `names` it pins what the template uses
    /// and nothing else; with them it moves only those, and leaves all others.
    ///
    /// # Errors
    /// A name that the template doesn't use.
    pub fn update(&self, used: &[Used], names: &[String]) -> Result<Update, UpdateError> {
        for name in names {
            let mut all = used.iter().map(|one| one.found.name.as_str());
            if !all.clone().any(|known| known == name) {
                return Err(UpdateError {
                    name: name.clone(),
                    nearest: nearest(name, &mut all).map(str::to_owned),
                });
            }
        }
        let moves = |name: &str| names.is_empty() || names.iter().any(|one| one == name);
        let found = used.iter().map(|one| &one.found);
        let kept = self.components.iter().filter(|one| !moves(&one.name));
        let taken = found.filter(|one| moves(&one.name));
        let lock = Self::new(taken.chain(kept).cloned());
        let changes = changes(self, &lock);
        Ok(Update { lock, changes })
    }
}

/// Where it came from and who signed it may become known later.
fn same(pinned: &LockedComponent, found: &LockedComponent) -> bool {
    pinned.version == found.version && pinned.digest == found.digest
}

fn changes(before: &Lock, after: &Lock) -> Vec<Change> {
    let gone = |one: &&LockedComponent| !after.components.contains(one);
    let mut removed: Vec<_> = before.components.iter().filter(gone).collect();
    let mut changes = Vec::new();
    for one in &after.components {
        if before.components.contains(one) {
            continue;
        }
        // The same version first, else any of the name.
        let from = removed
            .iter()
            .position(|old| old.key() == one.key())
            .or_else(|| removed.iter().position(|old| old.name == one.name));
        changes.push(match from {
            Some(index) => Change::Moved {
                from: removed.remove(index).clone(),
                to: one.clone(),
            },
            None => Change::Added(one.clone()),
        });
    }
    changes.extend(removed.into_iter().cloned().map(Change::Removed));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(name: &str, version: &str, digit: char) -> LockedComponent {
        LockedComponent {
            name: name.into(),
            version: version.into(),
            digest: format!("sha256:{}", digit.to_string().repeat(64)),
            registry: None,
            signer: None,
        }
    }

    fn used(name: &str, version: &str, digit: char, requirement: Option<&str>) -> Used {
        Used {
            requirement: requirement.map(str::to_owned),
            found: component(name, version, digit),
        }
    }

    #[test]
    fn a_build_adds_and_never_moves() {
        let lock = Lock::new([
            component("a:x", "0.1.0", '1'),
            component("a:old", "1.0.0", '9'),
        ]);
        let wanted = [
            used("a:x", "0.1.0", '1', Some("0.1")),
            used("a:y", "0.2.0", '2', None),
        ];
        let pinned = lock.pin(&wanted, Pinning::Add).expect("nothing refused");
        let names: Vec<_> = pinned
            .components()
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(names, ["a:old", "a:x", "a:y"]);
        assert_eq!(pinned.pin(&wanted, Pinning::Locked), Ok(pinned.clone()));

        assert_eq!(
            lock.pin(&wanted, Pinning::Locked),
            Err(vec![Refusal::Missing { name: "a:y".into() }])
        );
        for moved in [
            used("a:x", "0.1.0", '3', None),
            used("a:x", "0.1.1", '3', Some("0.1")),
        ] {
            let refused = lock
                .pin(&[moved.clone(), moved], Pinning::Add)
                .expect_err("refused");
            assert_eq!(refused.len(), 1);
            assert!(
                refused[0].hint().contains("darkroom update a:x"),
                "{}",
                refused[0].hint()
            );
        }
        // Another version beside the pinned one, which the requirement doesn't mean.
        let beside = [used("a:x", "0.2.0", '4', Some("0.2"))];
        assert_eq!(
            lock.pin(&beside, Pinning::Add)
                .expect("added")
                .components()
                .len(),
            3
        );
    }

    #[test]
    fn an_update_moves_what_it_is_asked_to() {
        let lock = Lock::new([
            component("a:x", "0.1.0", '1'),
            component("a:y", "0.1.0", '2'),
            component("a:old", "1.0.0", '9'),
        ]);
        let wanted = [
            used("a:x", "0.1.1", '3', None),
            used("a:y", "0.1.0", '4', None),
            used("a:z", "0.1.0", '5', None),
        ];
        let all = lock.update(&wanted, &[]).expect("known names");
        let said: Vec<_> = all.changes.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "moved a:x@0.1.0 to 0.1.1",
                "moved a:y@0.1.0 to other content",
                "added a:z@0.1.0",
                "removed a:old@1.0.0",
            ]
        );
        assert!(all.lock.pin(&wanted, Pinning::Locked).is_ok());
        let one = lock.update(&wanted, &["a:y".into()]).expect("a known name");
        assert_eq!(one.changes.len(), 1);
        assert_eq!(
            one.lock.find("a:x", None).map(|one| one.version.as_str()),
            Some("0.1.0")
        );
        let error = lock.update(&wanted, &["a:xx".into()]).expect_err("unknown");
        assert_eq!(error.nearest.as_deref(), Some("a:x"));
        assert!(
            all.lock
                .update(&wanted, &[])
                .expect("again")
                .changes
                .is_empty()
        );
    }

    #[test]
    fn requirements() {
        let one = component("a:x", "0.10.2", '1');
        for good in [None, Some("0"), Some("0.10"), Some("0.10.2")] {
            assert!(one.satisfies(good), "{good:?}");
        }
        for good in ["^0.10", "~0.10.1", "0.10.*", ">=0.9, <0.11"] {
            assert!(one.satisfies(Some(good)), "{good}");
        }
        for bad in ["0.1", "1", "0.10.2.0", "0.10.3", "^0.11", "0.10.2-rc.1"] {
            assert!(!one.satisfies(Some(bad)), "{bad}");
        }
        let mut early = component("a:x", "1.0.0-rc.2", '1');
        early.registry = Some("ghcr.io/a/x".into());
        assert!(!early.satisfies(None) && !early.satisfies(Some("1")));
        assert!(early.satisfies(Some("1.0.0-rc.2")) && early.satisfies(Some("^1.0.0-rc.1")));
        let lock = Lock::new([
            component("a:x", "0.9.0", '1'),
            component("a:x", "0.10.0", '2'),
        ]);
        assert_eq!(
            lock.find("a:x", Some("0")).map(|one| one.version.as_str()),
            Some("0.10.0")
        );
    }
}

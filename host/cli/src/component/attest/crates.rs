//! The bill of a Rust component: what `cargo tree` links it with for WebAssembly, with
//! the checksums of Cargo.lock.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::bill::{Bill, Dependency, Hash, purl};
use crate::component::crates::{Crates, Member, Package};

/// Cargo.lock, as far as it is of interest.
#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// The bill of a member, with the text of Cargo.lock.
pub(crate) fn bill(crates: &Crates, member: &Member, lock: &str) -> Bill {
    let lock: Lock = toml::from_str(lock).unwrap_or(Lock {
        package: Vec::new(),
    });
    let checksums: BTreeMap<_, _> = lock
        .package
        .iter()
        .filter_map(|one| Some(((&*one.name, &*one.version), one.checksum.clone()?)))
        .collect();
    let mut bill = Bill {
        complete: true,
        ..Bill::default()
    };
    for (package, needs) in crates.closure(member) {
        let mut needs: Vec<_> = needs.iter().map(url).collect();
        needs.sort();
        if package.name == member.package && package.origin.starts_with('/') {
            bill.needs.insert(String::new(), needs);
            continue;
        }
        bill.needs.insert(url(package), needs);
        // Only what a registry has has a checksum; a folder of the same name has not.
        let checksum = checksums
            .get(&(&*package.name, &*package.version))
            .filter(|_| package.origin.is_empty());
        bill.add(Dependency {
            name: package.name.clone(),
            version: package.version.clone(),
            purl: url(package),
            licence: Some(package.licence.clone()).filter(|licence| !licence.is_empty()),
            hash: checksum.map(|content| Hash {
                algorithm: "SHA-256",
                content: content.clone(),
            }),
        });
    }
    bill
}

/// The package URL. Of a repository only the commit is told: its address may hold a
/// password.
fn url(package: &Package) -> String {
    let url = purl("cargo", &package.name, &package.version);
    match package.origin.rsplit_once('#') {
        Some((address, commit)) if address.contains("://") => {
            format!("{url}?vcs_commit={}", super::bill::encoded(commit))
        }
        _ => url,
    }
}

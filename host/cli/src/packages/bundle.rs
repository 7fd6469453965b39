//! Bundles: a template with all that a build of it needs, in one file for a place without
//! a network.
//!
//! ```text
//! darkroom-bundle.json        the version of this format, and the packages with their blobs
//! template/image.yaml         the template; darkroom.lock and what it copies lie beside it
//! blobs/sha256/<hex>          manifests, components, signatures of the packages
//! ```
//!
//! It is a tar archive, the same for the same input. Nothing in it is believed: the policy
//! of whoever builds judges the packages again, and the lock in it names their digests.
//! System components are not in it: they are those of the Darkroom that builds, which the
//! lock pins too. Secrets are not in it either.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use darkroom_engine::Needed;
use darkroom_registry::cache::{Attachment, Cache, Contents, Key, Limit};
use darkroom_registry::digest::Digest;
use darkroom_registry::resolve::Package;
use darkroom_template::lock::{FILE_NAME, Lock};
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};
use tempfile::TempDir;

use crate::component::{self, FileError};
use crate::failure::Failure;

/// The bytes of a bundle's files: a small file may unpack to a full disk.
const MOST_BYTES: u64 = 8 << 30;

/// Its files, for the same reason.
const MOST_ENTRIES: usize = 100_000;

/// The first file of a bundle, by which it is known.
const INDEX: &str = "darkroom-bundle.json";
const VERSION: u32 = 1;
/// The template, whatever it was called.
const TEMPLATE: &str = "image.yaml";
/// The longest index: stops one that was made to fill memories.
const LONGEST_INDEX: u64 = 16 << 20;

/// What stands in the index.
#[derive(Serialize, Deserialize)]
struct Index {
    version: u32,
    packages: Vec<Row>,
}

/// A package and its blobs.
#[derive(Serialize, Deserialize)]
struct Row {
    registry: String,
    package: String,
    version: String,
    manifest: Digest,
    component: Digest,
    attachments: Vec<AttachmentRow>,
}

#[derive(Serialize, Deserialize)]
struct AttachmentRow {
    media_type: String,
    annotations: BTreeMap<String, String>,
    blob: Digest,
}

/// A bundle can't be used.
#[derive(Debug, thiserror::Error)]
enum BundleError {
    #[error("{path:?} is no bundle: {why}")]
    Not { path: PathBuf, why: String },
    #[error("{path:?} has version {version} of the format; version 1 is understood")]
    Newer { path: PathBuf, version: u32 },
    #[error("{path:?} was altered: it has no {digest}")]
    Altered { path: PathBuf, digest: Digest },
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        let hint = match &error {
            BundleError::Not { .. } | BundleError::Altered { .. } => {
                "make it anew with `darkroom bundle`, and carry it as it is"
            }
            BundleError::Newer { .. } => "use the Darkroom that made it, or a newer one",
        };
        Self::user(error).hint(hint)
    }
}

/// What goes into a bundle.
pub(crate) struct Bundle<'a> {
    pub(crate) template: &'a str,
    pub(crate) lock: &'a Lock,
    pub(crate) files: Vec<Needed>,
    pub(crate) packages: &'a [Package],
}

impl Bundle<'_> {
    /// Writes it, and gives its length in bytes.
    pub(crate) fn write(&self, to: &Path) -> Result<u64, Failure> {
        let bytes = self.archive().map_err(Failure::internal)?;
        component::write(to, &bytes).map_err(Failure::config)?;
        Ok(bytes.len() as u64)
    }

    fn archive(&self) -> io::Result<Vec<u8>> {
        let mut blobs: BTreeMap<Digest, &[u8]> = BTreeMap::new();
        let mut packages = Vec::new();
        for package in self.packages {
            let contents = &package.contents;
            let mut keep = |bytes| {
                let digest = Digest::of(bytes);
                blobs.insert(digest, bytes);
                digest
            };
            packages.push(Row {
                registry: package.located.to_string(),
                package: package.name.to_string(),
                version: package.version.to_string(),
                manifest: keep(&contents.manifest),
                component: keep(&contents.component),
                attachments: contents
                    .attachments
                    .iter()
                    .map(|one| AttachmentRow {
                        media_type: one.media_type.clone(),
                        annotations: one.annotations.clone(),
                        blob: keep(&one.bytes),
                    })
                    .collect(),
            });
        }
        packages.sort_by(|a, b| (&a.package, &a.version).cmp(&(&b.package, &b.version)));
        let index = Index {
            version: VERSION,
            packages,
        };
        let index = serde_json::to_vec_pretty(&index)?;
        let mut tar = Builder::new(Vec::new());
        file(&mut tar, Path::new(INDEX), &index, 0o644)?;
        let template = Path::new("template");
        file(
            &mut tar,
            &template.join(TEMPLATE),
            self.template.as_bytes(),
            0o644,
        )?;
        let lock = self.lock.to_text();
        file(&mut tar, &template.join(FILE_NAME), lock.as_bytes(), 0o644)?;
        for needed in &self.files {
            let at = template.join(plain(&needed.path));
            if needed.is_folder {
                folder(&mut tar, &at, &needed.bytes)?;
            } else {
                file(&mut tar, &at, &needed.bytes, needed.mode)?;
            }
        }
        for (digest, bytes) in blobs {
            let at = Path::new("blobs/sha256").join(digest.hex());
            file(&mut tar, &at, bytes, 0o644)?;
        }
        tar.into_inner()
    }
}

/// A path as it lies in a folder, without `.` and `/` at its ends.
fn plain(path: &str) -> PathBuf {
    let parts = Path::new(path).components();
    parts
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect()
}

fn file(tar: &mut Builder<Vec<u8>>, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    tar.append_data(&mut header, path, bytes)
}

/// The files of a packed folder, below a path.
fn folder(tar: &mut Builder<Vec<u8>>, at: &Path, packed: &[u8]) -> io::Result<()> {
    let mut directory = Header::new_gnu();
    directory.set_entry_type(EntryType::Directory);
    directory.set_size(0);
    directory.set_mode(0o755);
    tar.append_data(&mut directory, at, io::empty())?;
    for entry in Archive::new(packed).entries()? {
        let mut entry = entry?;
        let path = at.join(entry.path()?);
        let mut header = entry.header().clone();
        match entry.link_name()?.map(std::borrow::Cow::into_owned) {
            Some(target) => tar.append_link(&mut header, path, target)?,
            None => tar.append_data(&mut header, path, &mut entry)?,
        }
    }
    Ok(())
}

/// Whether a file is a bundle, by how it begins.
pub(crate) fn is_bundle(path: &Path) -> bool {
    let mut start = [0; 512];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start.starts_with(INDEX.as_bytes()) && &start[257..262] == b"ustar"
}

/// Whether a bundle has something of this kind at this path.
fn belongs(at: &Path, kind: EntryType) -> bool {
    let parts: Option<Vec<_>> = at
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    match parts.as_deref() {
        Some([INDEX] | ["blobs", "sha256", _] | ["template", TEMPLATE | FILE_NAME]) => {
            kind == EntryType::Regular
        }
        Some(["template", _, ..]) => matches!(
            kind,
            EntryType::Regular | EntryType::Directory | EntryType::Symlink
        ),
        _ => false,
    }
}

/// A bundle in a folder that goes with this value.
pub(crate) struct Unpacked {
    folder: TempDir,
    /// Where the cache lies.
    _packages: TempDir,
    /// Its packages.
    pub(crate) cache: Arc<Cache>,
}

impl Unpacked {
    /// Unpacks a bundle. It may come from anybody: nothing is taken but what a bundle has,
    /// links only among the files that the template copies, and nothing is written
    /// outside of the folder.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let not = |error: io::Error| BundleError::Not {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let file = std::fs::File::open(path).map_err(|source| {
            Failure::user(FileError {
                path: path.to_owned(),
                verb: "read",
                source,
            })
        })?;
        let folder = tempfile::tempdir().map_err(Failure::config)?;
        let mut archive = Archive::new(file);
        let mut left = MOST_BYTES;
        for (number, entry) in archive.entries().map_err(not)?.enumerate() {
            let mut entry = entry.map_err(not)?;
            let size = entry.size();
            if number == MOST_ENTRIES || size > left {
                return Err(not(io::Error::other("it holds too much")).into());
            }
            left -= size;
            let at = entry.path().map_err(not)?.into_owned();
            if !belongs(&at, entry.header().entry_type()) {
                let what = format!("it holds {}, which is no part of one", at.display());
                return Err(not(io::Error::other(what)).into());
            }
            entry.unpack_in(folder.path()).map_err(not)?;
        }
        let mut index = Vec::new();
        std::fs::File::open(folder.path().join(INDEX))
            .and_then(|file| file.take(LONGEST_INDEX).read_to_end(&mut index))
            .map_err(not)?;
        let index: Index = serde_json::from_slice(&index).map_err(|error| not(error.into()))?;
        if index.version != VERSION {
            return Err(BundleError::Newer {
                path: path.to_owned(),
                version: index.version,
            }
            .into());
        }
        // In a folder of its own: the cache removes what lies about in its place.
        let packages = tempfile::tempdir().map_err(Failure::config)?;
        let cache = Cache::open(packages.path(), Limit { bytes: u64::MAX })?;
        let blob = |digest: &Digest| -> Result<Vec<u8>, Failure> {
            let file = folder.path().join("blobs/sha256").join(digest.hex());
            match std::fs::read(file) {
                Ok(bytes) if Digest::of(&bytes) == *digest => Ok(bytes),
                _ => Err(BundleError::Altered {
                    path: path.to_owned(),
                    digest: *digest,
                }
                .into()),
            }
        };
        for row in index.packages {
            let attachment = |one: AttachmentRow| {
                Ok(Attachment {
                    bytes: blob(&one.blob)?,
                    media_type: one.media_type,
                    annotations: one.annotations,
                })
            };
            let contents = Contents {
                manifest: blob(&row.manifest)?,
                component: blob(&row.component)?,
                attachments: row
                    .attachments
                    .into_iter()
                    .map(attachment)
                    .collect::<Result<_, Failure>>()?,
            };
            let key = Key {
                registry: row.registry,
                package: row.package,
                version: row.version,
            };
            cache.store(&key, &contents)?;
        }
        Ok(Self {
            folder,
            _packages: packages,
            cache: Arc::new(cache),
        })
    }

    /// Its template.
    pub(crate) fn template(&self) -> PathBuf {
        self.folder.path().join("template").join(TEMPLATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bundle with one more entry, opened.
    fn opened(path: &str, kind: EntryType, target: Option<&Path>) -> Result<Unpacked, String> {
        let index = br#"{"version":1,"packages":[]}"#;
        let mut tar = Builder::new(Vec::new());
        file(&mut tar, Path::new(INDEX), index, 0o644).unwrap();
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o755);
        match target {
            Some(target) => tar.append_link(&mut header, path, target).unwrap(),
            None => tar.append_data(&mut header, path, io::empty()).unwrap(),
        }
        let place = tempfile::tempdir().unwrap();
        let bundle = place.path().join("web.tar");
        std::fs::write(&bundle, tar.into_inner().unwrap()).unwrap();
        Unpacked::open(&bundle).map_err(|failure| failure.error.to_string())
    }

    #[test]
    fn a_bundle_cannot_reach_what_is_not_its_own() {
        let outside = tempfile::tempdir().unwrap();
        let drafts = outside.path().join("drafts");
        std::fs::create_dir(&drafts).unwrap();
        std::fs::write(drafts.join("mine"), "").unwrap();
        let link = Some(outside.path());
        for (path, kind, target) in [
            ("packages", EntryType::Symlink, link),
            ("blobs", EntryType::Symlink, link),
            ("template", EntryType::Symlink, link),
            ("template/image.yaml", EntryType::Symlink, link),
            ("template/x", EntryType::Link, link),
            ("template/x", EntryType::Fifo, None),
            ("elsewhere/x", EntryType::Regular, None),
        ] {
            let refused = opened(path, kind, target).err().unwrap_or_default();
            assert!(refused.contains("no part of one"), "{path}: {refused}");
        }
        assert!(drafts.join("mine").exists());
        assert!(opened("template/site/link", EntryType::Symlink, link).is_ok());
    }
}

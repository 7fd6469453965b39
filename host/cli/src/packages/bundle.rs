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

/// A bundle in a folder that goes with this value.
pub(crate) struct Unpacked {
    folder: TempDir,
    /// Its packages.
    pub(crate) cache: Arc<Cache>,
}

impl Unpacked {
    /// Unpacks a bundle. Nothing of it can be written outside of the folder.
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
        for entry in archive.entries().map_err(not)? {
            let mut entry = entry.map_err(not)?;
            // What would lead out of the folder is passed over, and missed below.
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
        let cache = Cache::open(&folder.path().join("packages"), Limit { bytes: u64::MAX })?;
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
            cache: Arc::new(cache),
        })
    }

    /// Its template.
    pub(crate) fn template(&self) -> PathBuf {
        self.folder.path().join("template").join(TEMPLATE)
    }
}

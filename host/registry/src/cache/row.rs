//! Rows: which blobs a package consists of, as JSON in a file of its own.
//!
//! A file a row and no database: two processes never wait for each other to write, a row
//! that was damaged costs one package, and the time of use is the file's own. The format
//! has a version; a row of another one is no row, and is pulled anew.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{Attachment, Cache, CacheError, Contents, Entry, Key, blobs, is_missing};
use crate::digest::Digest;

const VERSION: u32 = 1;

/// A row as it was read, with its file's time.
pub(super) struct Row {
    wire: Wire,
    used: SystemTime,
}

/// A blob that a row names.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) bytes: u64,
}

impl Blob {
    fn of(bytes: &[u8]) -> Self {
        Self {
            digest: Digest::of(bytes),
            bytes: bytes.len() as u64,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    format: u32,
    registry: String,
    package: String,
    version: String,
    /// Milliseconds since 1970.
    stored: u64,
    manifest: Blob,
    component: Blob,
    attachments: Vec<WireAttachment>,
}

#[derive(Serialize, Deserialize)]
struct WireAttachment {
    media_type: String,
    annotations: BTreeMap<String, String>,
    #[serde(flatten)]
    blob: Blob,
}

impl Row {
    /// The row of a package that is stored now.
    pub(super) fn new(key: &Key, contents: &Contents) -> Self {
        let used = SystemTime::now();
        let since = used.duration_since(UNIX_EPOCH).unwrap_or_default();
        let attachments = contents.attachments.iter().map(|one| WireAttachment {
            media_type: one.media_type.clone(),
            annotations: one.annotations.clone(),
            blob: Blob::of(&one.bytes),
        });
        let wire = Wire {
            format: VERSION,
            registry: key.registry.clone(),
            package: key.package.clone(),
            version: key.version.clone(),
            stored: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            manifest: Blob::of(&contents.manifest),
            component: Blob::of(&contents.component),
            attachments: attachments.collect(),
        };
        Self { wire, used }
    }

    /// Manifest, component, attachments: the order of [`Row::contents`].
    pub(super) fn blobs(&self) -> impl Iterator<Item = &Blob> {
        let attachments = self.wire.attachments.iter().map(|one| &one.blob);
        [&self.wire.manifest, &self.wire.component]
            .into_iter()
            .chain(attachments)
    }

    /// Puts the bytes of its blobs together.
    pub(super) fn contents(&self, bytes: Vec<Vec<u8>>) -> Contents {
        let mut bytes = bytes.into_iter();
        let mut next = || bytes.next().unwrap_or_default();
        Contents {
            manifest: next(),
            component: next(),
            attachments: self
                .wire
                .attachments
                .iter()
                .map(|one| Attachment {
                    media_type: one.media_type.clone(),
                    annotations: one.annotations.clone(),
                    bytes: next(),
                })
                .collect(),
        }
    }

    pub(super) fn entry(&self) -> Entry {
        Entry {
            key: Key {
                registry: self.wire.registry.clone(),
                package: self.wire.package.clone(),
                version: self.wire.version.clone(),
            },
            manifest: self.wire.manifest.digest,
            component: self.wire.component.digest,
            // Saturating: a row that another wrote may say anything.
            bytes: (self.blobs()).fold(0, |sum, blob| sum.saturating_add(blob.bytes)),
            stored: UNIX_EPOCH + Duration::from_millis(self.wire.stored),
            used: self.used,
        }
    }

    pub(super) fn used(&self) -> SystemTime {
        self.used
    }

    fn is_of(&self, key: &Key) -> bool {
        let Wire {
            registry,
            package,
            version,
            ..
        } = &self.wire;
        *registry == key.registry && *package == key.package && *version == key.version
    }
}

/// A key's part of the names of its rows. Lengths keep `a` + `bc` and `ab` + `c` apart.
fn prefix(key: &Key) -> String {
    let parts = [&key.registry, &key.package, &key.version];
    let text: String = parts.map(|part| format!("{}:{part}", part.len())).concat();
    Digest::of(text.as_bytes()).hex()
}

/// Marks a row as used now. Failing costs nothing but its place in the order.
pub(super) fn touch(path: &Path) {
    let touched = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = touched {
        tracing::debug!(path = %path.display(), %error, "the time of use can't be kept");
    }
}

impl Cache {
    fn row_path(&self, key: &Key, component: &Digest) -> PathBuf {
        let name = format!("{}-{}.json", prefix(key), component.hex());
        self.rows().join(name)
    }

    pub(super) fn write_row(&self, row: &Row) -> Result<PathBuf, CacheError> {
        let path = self.row_path(&row.entry().key, &row.wire.component.digest);
        let text = serde_json::to_vec(&row.wire)
            .map_err(|error| CacheError::write(&path, error.into()))?;
        self.write_file(&path, &text)?;
        Ok(path)
    }

    /// The row of a key: of this component, or the one stored last.
    pub(super) fn find_row(
        &self,
        key: &Key,
        component: Option<&Digest>,
    ) -> Result<Option<(PathBuf, Row)>, CacheError> {
        let rows = if let Some(component) = component {
            let path = self.row_path(key, component);
            read(&path)?.map(|row| (path, row)).into_iter().collect()
        } else {
            let prefix = prefix(key);
            self.rows_of(|name| name.starts_with(&prefix))?
        };
        // A name is a hash: what the row itself says decides.
        let rows = rows.into_iter().filter(|(_, row)| row.is_of(key));
        Ok(rows.max_by_key(|(_, row)| (row.wire.stored, row.used)))
    }

    pub(super) fn rows_with_paths(&self) -> Result<Vec<(PathBuf, Row)>, CacheError> {
        self.rows_of(|_| true)
    }

    fn rows_of(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<(PathBuf, Row)>, CacheError> {
        let mut rows = Vec::new();
        for path in blobs::files(&self.rows())? {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(&wanted)
                && let Some(row) = read(&path)?
            {
                rows.push((path, row));
            }
        }
        Ok(rows)
    }
}

/// `None` for a file that is gone, or isn't a row of this version.
fn read(path: &Path) -> Result<Option<Row>, CacheError> {
    let failed = |error| CacheError::read(path, error);
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let used = fs::metadata(path).and_then(|metadata| metadata.modified());
    let used = match used {
        Ok(used) => used,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let wire: Option<Wire> = serde_json::from_slice(&text).ok();
    let wire = wire.filter(|wire| wire.format == VERSION);
    Ok(wire.map(|wire| Row { wire, used }))
}

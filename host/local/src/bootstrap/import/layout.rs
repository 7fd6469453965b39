//! Reads an image of an OCI image layout: the folder's index, a manifest, its layers
//! (OCI image specification, "Image Layout").
//!
//! Blobs are named by digests; each is checked before it is used.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, DigestAlgorithm, ImageIndex, ImageManifest, MediaType};
use sha2::{Digest as _, Sha256};

use super::{ImportError, unpack};
use crate::action::hex;

/// An index inside an index is looked into this often.
const DEPTH: usize = 4;

/// A folder with an index and blobs.
pub(super) struct Layout<'a> {
    folder: &'a Path,
}

impl<'a> Layout<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder }
    }

    /// Unpacks the layers of the image `tag`, or of the only one, for this machine's
    /// architecture (in OCI's words).
    pub(super) fn unpack(
        &self,
        tag: Option<&str>,
        architecture: &str,
        root: &Path,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(), ImportError> {
        let path = self.folder.join("index.json");
        let index = ImageIndex::from_file(&path).map_err(|error| self.bad(&path, &error))?;
        let manifest = self.manifest(&index, tag, architecture, 0)?;
        let layers = manifest.layers();
        for (number, layer) in layers.iter().enumerate() {
            progress(number + 1, layers.len());
            let blob = self.blob(layer)?;
            unpack::open(&blob)
                .and_then(|content| unpack::unpack(content, root, true))
                .map_err(|source| ImportError::Archive { path: blob, source })?;
        }
        Ok(())
    }

    fn manifest(
        &self,
        index: &ImageIndex,
        tag: Option<&str>,
        architecture: &str,
        depth: usize,
    ) -> Result<ImageManifest, ImportError> {
        let named: Vec<&Descriptor> = index
            .manifests()
            .iter()
            .filter(|one| tag.is_none() || name_of(one) == tag)
            .filter(|one| is_for(one, architecture))
            .collect();
        let [only] = named.as_slice() else {
            return Err(self.which(index, named.len(), tag, architecture));
        };
        let blob = self.blob(only)?;
        let nested = matches!(only.media_type(), MediaType::ImageIndex)
            || only.media_type().as_ref().contains("manifest.list");
        if nested && depth < DEPTH {
            let index = ImageIndex::from_file(&blob).map_err(|error| self.bad(&blob, &error))?;
            return self.manifest(&index, None, architecture, depth + 1);
        }
        ImageManifest::from_file(&blob).map_err(|error| self.bad(&blob, &error))
    }

    /// Why there isn't exactly one image to take.
    fn which(
        &self,
        index: &ImageIndex,
        found: usize,
        tag: Option<&str>,
        architecture: &str,
    ) -> ImportError {
        let mut names: Vec<String> = index
            .manifests()
            .iter()
            .filter_map(|one| name_of(one).map(ToOwned::to_owned))
            .collect();
        names.sort();
        names.dedup();
        let wanted = match tag {
            Some(tag) => format!("an image `{tag}` for {architecture}"),
            None => format!("an image for {architecture}"),
        };
        ImportError::Choose {
            path: self.folder.to_owned(),
            wanted,
            found,
            names,
        }
    }

    /// The path of a blob whose content has its digest.
    fn blob(&self, descriptor: &Descriptor) -> Result<PathBuf, ImportError> {
        let digest = descriptor.digest();
        let path = self
            .folder
            .join("blobs")
            .join("sha256")
            .join(digest.digest());
        if *digest.algorithm() != DigestAlgorithm::Sha256 {
            return Err(self.bad(&path, &format!("{digest} is no SHA-256")));
        }
        let is = File::open(&path)
            .and_then(sha256)
            .map_err(|error| self.bad(&path, &error))?;
        if is == digest.digest() {
            return Ok(path);
        }
        Err(self.bad(&path, &format!("its content has the digest sha256:{is}")))
    }

    #[expect(clippy::unused_self, reason = "reads as the layout's own complaint")]
    fn bad(&self, path: &Path, reason: &dyn std::fmt::Display) -> ImportError {
        ImportError::Layout {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Lower-case hexadecimal.
fn sha256(mut file: File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}

fn name_of(descriptor: &Descriptor) -> Option<&str> {
    let annotations = descriptor.annotations().as_ref()?;
    annotations
        .get("org.opencontainers.image.ref.name")
        .map(String::as_str)
}

/// Without a platform it is for any; attestations are for `unknown`.
fn is_for(descriptor: &Descriptor, architecture: &str) -> bool {
    descriptor
        .platform()
        .as_ref()
        .is_none_or(|platform| platform.architecture().to_string() == architecture)
}

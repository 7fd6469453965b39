//! The section `darkroom:assets`: files that ship with a component.
//!
//! Format, version 1: one byte `1`, then the files in the order of their names,
//! each as
//!
//! ```text
//! u32  bytes of the name   little-endian
//! u64  bytes of the file   little-endian
//!      the name            UTF-8: parts between '/', none of them empty, '.' or '..'
//!      the file
//! ```
//!
//! Only the host reads it; to a component assets are names. An archive format such
//! as tar was rejected: links, devices and owners would all have to be refused.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The name of the section.
pub(crate) const SECTION: &str = "darkroom:assets";

/// The version that is written and read.
const VERSION: u8 = 1;

/// Bytes of all files of a component, 64 MiB: they travel to the machine in slices
/// of 24 KiB.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// Why assets can't be read or packed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// A version that this program doesn't know.
    #[error("the assets have format {0}, and this Darkroom reads format {VERSION}")]
    Version(u8),
    /// The section ends in the middle of a file.
    #[error("the assets are cut off")]
    CutOff,
    /// A name that could lead out of the folder it is unpacked into.
    #[error("the asset name {0:?} is not a relative path of plain names")]
    Name(String),
    /// Two files of one name, or a file where another one needs a folder.
    #[error("the asset {0:?} is there twice")]
    Twice(String),
    /// More than 64 MiB.
    #[error("the assets have {0} bytes; {MOST_BYTES} are allowed")]
    TooLarge(usize),
}

/// The assets of a component.
#[derive(Debug, Clone, Default)]
pub struct Assets {
    section: Arc<[u8]>,
    files: BTreeMap<String, Range<usize>>,
}

impl Assets {
    /// Reads a section.
    pub(crate) fn read(section: &[u8]) -> Result<Self, AssetError> {
        if section.len() > MOST_BYTES * 2 {
            return Err(AssetError::TooLarge(section.len()));
        }
        let mut reader = Reader {
            bytes: section,
            at: 0,
        };
        match reader.take(1)?.start {
            at if section[at] == VERSION => {}
            at => return Err(AssetError::Version(section[at])),
        }
        let mut files = BTreeMap::new();
        while reader.at < section.len() {
            let name = reader.number::<4>().map(u32::from_le_bytes)?;
            let size = reader.number::<8>().map(u64::from_le_bytes)?;
            let name = reader.take(usize::try_from(name).map_err(|_| AssetError::CutOff)?)?;
            let name = String::from_utf8_lossy(&section[name]).into_owned();
            let range = reader.take(usize::try_from(size).map_err(|_| AssetError::CutOff)?)?;
            check_name(&name)?;
            if files.insert(name.clone(), range).is_some() {
                return Err(AssetError::Twice(name));
            }
        }
        check_files(&files, Range::len)?;
        Ok(Self {
            section: section.into(),
            files,
        })
    }

    /// Writes a section.
    pub(crate) fn write(assets: &[(String, Vec<u8>)]) -> Result<Vec<u8>, AssetError> {
        let mut files = BTreeMap::new();
        for (name, content) in assets {
            check_name(name)?;
            if files.insert(name.clone(), content.as_slice()).is_some() {
                return Err(AssetError::Twice(name.clone()));
            }
        }
        check_files(&files, |content| content.len())?;
        let mut section = vec![VERSION];
        for (name, content) in files {
            let length = u32::try_from(name.len()).map_err(|_| AssetError::Name(name.clone()))?;
            section.extend_from_slice(&length.to_le_bytes());
            section.extend_from_slice(&(content.len() as u64).to_le_bytes());
            section.extend_from_slice(name.as_bytes());
            section.extend_from_slice(content);
        }
        Ok(section)
    }

    /// The file of this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.files
            .get(name)
            .and_then(|range| self.section.get(range.clone()))
    }

    /// All names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

fn check_name(name: &str) -> Result<(), AssetError> {
    let plain = name.len() <= 4096
        && !name.contains(|c: char| c == '\\' || c.is_control())
        && name
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255);
    if plain {
        Ok(())
    } else {
        Err(AssetError::Name(name.into()))
    }
}

/// All files together: not too many bytes, and no file in another one's place.
fn check_files<T>(
    files: &BTreeMap<String, T>,
    size: impl Fn(&T) -> usize,
) -> Result<(), AssetError> {
    let total = files.values().map(size).sum();
    if total > MOST_BYTES {
        return Err(AssetError::TooLarge(total));
    }
    for name in files.keys() {
        let mut folder = name.as_str();
        while let Some((parent, _)) = folder.rsplit_once('/') {
            if files.contains_key(parent) {
                return Err(AssetError::Twice(parent.into()));
            }
            folder = parent;
        }
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Result<Range<usize>, AssetError> {
        let end = self.at.checked_add(length).ok_or(AssetError::CutOff)?;
        if end > self.bytes.len() {
            return Err(AssetError::CutOff);
        }
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], AssetError> {
        let range = self.take(N)?;
        self.bytes[range].try_into().map_err(|_| AssetError::CutOff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str) -> Vec<(String, Vec<u8>)> {
        vec![(name.to_owned(), b"x".to_vec())]
    }

    #[test]
    fn what_is_written_is_read() {
        let files = [
            ("site/index.html".to_owned(), b"<h1>".to_vec()),
            ("a".to_owned(), Vec::new()),
        ];
        let section = Assets::write(&files).unwrap();
        let assets = Assets::read(&section).unwrap();
        assert_eq!(assets.names().collect::<Vec<_>>(), ["a", "site/index.html"]);
        assert_eq!(assets.get("site/index.html").unwrap(), b"<h1>");
        assert_eq!(assets.get("a").unwrap(), b"");
        assert!(assets.get("site").is_none());
    }

    /// The format of the first release must read for ever.
    #[test]
    fn the_format_stays() {
        let section = b"\x01\x01\0\0\0\x02\0\0\0\0\0\0\0ahi";
        assert_eq!(Assets::read(section).unwrap().get("a").unwrap(), b"hi");
        assert_eq!(
            Assets::write(&[("a".into(), b"hi".to_vec())]).unwrap(),
            section
        );
    }

    #[test]
    fn names_stay_below_their_folder() {
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", ".", "a\\b", "a\0"] {
            assert!(
                matches!(Assets::write(&one(bad)), Err(AssetError::Name(_))),
                "{bad:?}"
            );
        }
        // The same names in a section that somebody else made.
        let evil = b"\x01\x04\0\0\0\0\0\0\0\0\0\0\0../a";
        assert_eq!(
            Assets::read(evil).unwrap_err(),
            AssetError::Name("../a".into())
        );
    }

    #[test]
    fn damaged_sections_are_errors() {
        let good = Assets::write(&one("name")).unwrap();
        for cut in 0..good.len() {
            // A cut after the version is an empty section, and that is in order.
            let read = Assets::read(&good[..cut]);
            assert_eq!(read.is_ok(), cut == 1, "{cut}");
        }
        assert_eq!(Assets::read(b"\x02").unwrap_err(), AssetError::Version(2));
        let huge = b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(Assets::read(huge).unwrap_err(), AssetError::CutOff);
        let twice = [one("a"), one("a")].concat();
        assert_eq!(Assets::write(&twice), Err(AssetError::Twice("a".into())));
        let both = [one("a"), one("a/b")].concat();
        assert_eq!(Assets::write(&both), Err(AssetError::Twice("a".into())));
    }
}

//! Putting a file in another's place, for all that the command line writes for people:
//! components, bundles, locks, templates.
//!
//! The old file or the new one is there, whatever happens: a full disk, a killed process,
//! a power cut. It must never replace what is no file, such as `/dev/stdout`.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Links that are followed, as many as the system follows.
const MOST_LINKS: usize = 40;

/// Makes a file say this. A link stays one, permissions stay, and what is no file is
/// written as it is. A file that says it already is not touched; a folder that is missing
/// is made.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = followed(path)?;
    let there = match fs::metadata(&target) {
        Ok(there) => Some(there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(there) = &there {
        // What is open already, as `/dev/stdout` is, must not be led to another file.
        if target.starts_with("/proc") || (!there.is_file() && !there.is_dir()) {
            let mut open = OpenOptions::new().write(true).open(&target)?;
            return open.write_all(bytes);
        }
        let as_long = there.is_file() && there.len() == bytes.len() as u64;
        if as_long && fs::read(&target).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
    }
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    if let Some(there) = there {
        file.as_file().set_permissions(there.permissions())?;
    }
    // Before it has the name: after a power cut the name must not mean an empty file.
    file.as_file().sync_all()?;
    file.persist(&target)?;
    File::open(folder)?.sync_all()
}

/// Where a path's links lead, whether or not anything is there; those of open files are
/// the end.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        if at.starts_with("/proc") {
            return Ok(at);
        }
        match fs::read_link(&at) {
            Ok(target) => at = at.parent().unwrap_or(Path::new("")).join(target),
            // It is no link, or isn't there.
            Err(_) => return Ok(at),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_behind_its_links_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "old").unwrap();
        fs::set_permissions(at("file"), Permissions::from_mode(0o600)).unwrap();
        symlink("file", at("link")).unwrap();
        symlink(at("link"), at("again")).unwrap();
        replace(&at("again"), b"new").unwrap();
        assert_eq!(fs::read(at("file")).unwrap(), b"new");
        assert!(at("link").is_symlink() && at("again").is_symlink());
        let mode = at("file").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        symlink("deep/new", at("ahead")).unwrap();
        replace(&at("ahead"), b"there").unwrap();
        assert_eq!(fs::read(at("deep/new")).unwrap(), b"there");
        symlink("loop", at("loop")).unwrap();
        assert!(replace(&at("loop"), b"").is_err());
        assert!(replace(folder.path(), b"a folder").is_err());
    }

    #[test]
    fn what_is_no_file_is_written_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        replace(&pipe, b"to whom it may concern").unwrap();
        assert_eq!(reader.join().unwrap(), b"to whom it may concern");
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
        replace(Path::new("/dev/null"), b"nothing").unwrap();
        assert!(
            fs::metadata("/dev/null")
                .unwrap()
                .file_type()
                .is_char_device()
        );
    }
}

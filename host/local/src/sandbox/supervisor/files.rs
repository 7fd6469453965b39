//! `SendFile`: checks what was asked, lets [`crate::sandbox::child::place`] do it
//! inside the instance, and says what came of it in Cloud Assistant's words.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::{Gid, Uid};

use super::super::accounts::Accounts;
use super::super::child::{Failure, Place, Record, place};
use super::super::sys;
use super::machine::{Boot, readable_within};
use super::protocol::File;
use crate::driver::FileFault;

/// How long writing one small file may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The longest name and the longest directory.
const LONGEST: usize = 255;

/// Writes a file into the instance.
///
/// # Errors
/// When the machine, not the instance, is at fault.
pub fn place(boot: &Boot, file: &File) -> io::Result<Result<(), FileFault>> {
    let (parents, path, draft) = match paths(file) {
        Ok(paths) => paths,
        Err(fault) => return Ok(Err(fault)),
    };
    if file.mode > 0o7777 {
        return Ok(Err(FileFault::FileAuthorityInvalid));
    }
    let accounts = Accounts::read(&boot.root)?;
    let (Some(user), Some(group)) = (accounts.user(&file.owner), accounts.group(&file.group))
    else {
        return Ok(Err(FileFault::UserGroupNotExists));
    };
    let (report, report_end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let plan = place::Plan {
        init: boot.init.pidfd.as_fd(),
        groups_v1: &boot.groups.joins_v1,
        report: report_end.as_fd(),
        parents: &parents,
        path: &path,
        draft: &draft,
        content: &file.content,
        user: Uid::from_raw(user.uid),
        group: Gid::from_raw(group),
        mode: Mode::from_raw_mode(file.mode),
        overwrite: file.overwrite,
    };
    let mut program = || plan.execute();
    #[expect(unsafe_code, reason = "clone3 of a process with threads")]
    // SAFETY: the plan's program makes system calls on prepared memory only.
    let child = unsafe { sys::spawn_child(0, None, &mut program) }?;
    drop(report_end);
    if !readable_within(&child.pidfd, PATIENCE) {
        sys::send_signal(child.pidfd.as_fd(), libc::SIGKILL)?;
    }
    let exit = sys::wait(child.pidfd.as_fd())?;
    if exit == sys::Exit::Code(0) {
        return Ok(Ok(()));
    }
    Ok(Err(match Record::receive(&report)? {
        Some(Record::Failed(failure)) => fault(failure),
        _ => FileFault::FileCreateFail,
    }))
}

fn fault(failure: Failure) -> FileFault {
    match failure.place {
        Place::Parents => FileFault::FilePathInvalid,
        Place::Exists => FileFault::FileAlreadyExists,
        Place::Namespaces | Place::Cgroups | Place::Identity => FileFault::ClientNotRunning,
        _ => FileFault::FileCreateFail,
    }
}

type Paths = (Vec<CString>, CString, CString);

/// The folders above the file, its path, and the path of its draft.
fn paths(file: &File) -> Result<Paths, FileFault> {
    let name_is_bad = file.name.is_empty()
        || file.name.len() > LONGEST
        || [".", ".."].contains(&file.name.as_str())
        || file.name.contains(['/', '\0']);
    if name_is_bad {
        return Err(FileFault::FileNameInvalid);
    }
    let folder: PathBuf = Path::new(&file.target_dir).components().collect();
    let folder_is_bad = !folder.is_absolute()
        || file.target_dir.len() > LONGEST
        || file.target_dir.contains('\0')
        || folder.components().any(|part| part == Component::ParentDir);
    if folder_is_bad {
        return Err(FileFault::FilePathInvalid);
    }
    let text = |path: &Path| {
        CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| FileFault::FilePathInvalid)
    };
    let mut parents = folder
        .ancestors()
        .filter(|parent| parent.parent().is_some())
        .map(text)
        .collect::<Result<Vec<_>, _>>()?;
    parents.reverse();
    let draft = folder.join(format!(".darkroom-{}", uuid::Uuid::new_v4().simple()));
    Ok((parents, text(&folder.join(&file.name))?, text(&draft)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(target_dir: &str, name: &str) -> File {
        File {
            target_dir: target_dir.into(),
            name: name.into(),
            content: Vec::new(),
            owner: "root".into(),
            group: "root".into(),
            mode: 0o644,
            overwrite: false,
        }
    }

    #[test]
    fn folders_are_made_from_the_top() {
        let (parents, path, draft) = paths(&file("/opt/app/", "x.conf")).unwrap();
        assert_eq!(parents, [c"/opt".to_owned(), c"/opt/app".to_owned()]);
        assert_eq!(path, c"/opt/app/x.conf".to_owned());
        assert!(draft.to_str().unwrap().starts_with("/opt/app/.darkroom-"));
        assert!(paths(&file("/", "x")).unwrap().0.is_empty());
    }

    #[test]
    fn names_and_folders_that_are_none_are_told_apart() {
        for name in ["", ".", "..", "a/b", "a\0b"] {
            assert_eq!(paths(&file("/opt", name)), Err(FileFault::FileNameInvalid));
        }
        for folder in ["opt", "", "/opt/../etc", "/a\0b"] {
            assert_eq!(paths(&file(folder, "x")), Err(FileFault::FilePathInvalid));
        }
    }
}

//! A disk that fails under a journal: `SQLite`'s own way to the file system, in which reads,
//! writes and syncs below one folder answer `EIO` from a certain one on.
//!
//! It is the default of the whole process once it is used, and hands everything else
//! through. Only tests may use it: nothing of it is in the product.
#![expect(
    unsafe_code,
    reason = "SQLite is told of its file system by tables of C functions"
)]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

/// The failure of everything below a folder, until it is dropped.
#[derive(Debug)]
pub struct FailingDisk(PathBuf);

/// What happens below a folder.
struct Plan {
    folder: PathBuf,
    /// How many operations succeed first.
    after: u64,
    /// How many fail then; none: all.
    times: Option<u64>,
    passed: u64,
    failed: u64,
}

static PLANS: Mutex<Vec<Plan>> = Mutex::new(Vec::new());

/// `SQLite`'s own, and the one in its place.
struct Both {
    below: *mut ffi::sqlite3_vfs,
    _above: *mut ffi::sqlite3_vfs,
}

// SAFETY: both are leaked and never changed after they are made; SQLite itself uses them
// from all threads.
unsafe impl Send for Both {}
// SAFETY: as above.
unsafe impl Sync for Both {}

static REGISTERED: LazyLock<Both> = LazyLock::new(register);

impl FailingDisk {
    /// Lets operations below a folder fail after so many that succeed, so often or for
    /// ever.
    pub fn under(folder: &Path, after: u64, times: Option<u64>) -> Self {
        LazyLock::force(&REGISTERED);
        plans().push(Plan {
            folder: folder.to_owned(),
            after,
            times,
            passed: 0,
            failed: 0,
        });
        Self(folder.to_owned())
    }

    /// How many operations succeeded.
    pub fn passed(&self) -> u64 {
        self.look(|plan| plan.passed)
    }

    /// How many failed.
    pub fn failed(&self) -> u64 {
        self.look(|plan| plan.failed)
    }

    fn look(&self, what: impl Fn(&Plan) -> u64) -> u64 {
        let plans = plans();
        let ours = plans.iter().find(|plan| plan.folder == self.0);
        ours.map(what).unwrap_or_default()
    }
}

impl Drop for FailingDisk {
    fn drop(&mut self) {
        plans().retain(|plan| plan.folder != self.0);
    }
}

fn plans() -> MutexGuard<'static, Vec<Plan>> {
    PLANS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the next operation on a file fails.
fn fails(path: &Path) -> bool {
    let mut plans = plans();
    let Some(plan) = plans.iter_mut().find(|plan| path.starts_with(&plan.folder)) else {
        return false;
    };
    let due = plan.passed >= plan.after && plan.times.is_none_or(|times| plan.failed < times);
    if due {
        plan.failed += 1;
    } else {
        plan.passed += 1;
    }
    due
}

/// Puts the table of functions below in front of `SQLite`'s own.
fn register() -> Both {
    // SAFETY: SQLite's default exists and is a static of it; the copy is leaked, as
    // registering demands.
    unsafe {
        let below = ffi::sqlite3_vfs_find(std::ptr::null());
        assert!(!below.is_null());
        let above = Box::into_raw(Box::new(ffi::sqlite3_vfs {
            pNext: std::ptr::null_mut(),
            zName: c"failing".as_ptr(),
            xOpen: Some(open),
            ..*below
        }));
        assert_eq!(ffi::sqlite3_vfs_register(above, 1), ffi::SQLITE_OK);
        Both {
            below,
            _above: above,
        }
    }
}

/// The methods of one file: first what `SQLite` sees, then what is below.
#[repr(C)]
struct Methods {
    shown: ffi::sqlite3_io_methods,
    below: *const ffi::sqlite3_io_methods,
    path: PathBuf,
}

/// Opens a file by `SQLite`'s own means, and puts our methods in front of its own.
unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let vfs = REGISTERED.below;
    // SAFETY: the arguments are SQLite's own for a function of this kind. A file that was
    // opened has methods; the table that replaces them lives until it is closed.
    unsafe {
        let Some(original) = (*vfs).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        let code = original(vfs, name, file, flags, out);
        if code != ffi::SQLITE_OK || name.is_null() || (*file).pMethods.is_null() {
            return code;
        }
        let path = Path::new(OsStr::from_bytes(CStr::from_ptr(name).to_bytes())).to_owned();
        let below = (*file).pMethods;
        let methods = Box::new(Methods {
            shown: ffi::sqlite3_io_methods {
                xClose: Some(close),
                xRead: Some(read),
                xWrite: Some(write),
                xSync: Some(sync),
                ..*below
            },
            below,
            path,
        });
        (*file).pMethods = Box::into_raw(methods).cast();
        code
    }
}

/// The methods that [`open`] has given to a file.
///
/// # Safety
/// The file was opened there and is not closed.
unsafe fn methods<'a>(file: *mut ffi::sqlite3_file) -> &'a Methods {
    // SAFETY: `shown` is the first field of what it points into.
    unsafe { &*(*file).pMethods.cast::<Methods>() }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file that it opened once, and uses it no more.
    unsafe {
        let ours = Box::from_raw((*file).pMethods.cast::<Methods>().cast_mut());
        (*file).pMethods = ours.below;
        match (*ours.below).xClose {
            Some(original) => original(file),
            None => ffi::SQLITE_OK,
        }
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: the arguments go to the function that they are for.
    unsafe {
        let ours = methods(file);
        match (*ours.below).xRead {
            Some(original) if !fails(&ours.path) => original(file, to, amount, offset),
            _ => ffi::SQLITE_IOERR_READ,
        }
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: the arguments go to the function that they are for.
    unsafe {
        let ours = methods(file);
        match (*ours.below).xWrite {
            Some(original) if !fails(&ours.path) => original(file, from, amount, offset),
            _ => ffi::SQLITE_IOERR_WRITE,
        }
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: the arguments go to the function that they are for.
    unsafe {
        let ours = methods(file);
        match (*ours.below).xSync {
            Some(original) if !fails(&ours.path) => original(file, flags),
            _ => ffi::SQLITE_IOERR_FSYNC,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_fails_when_it_is_due_and_only_below_the_folder() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let disk = FailingDisk::under(folders[0].path(), 40, Some(1));
        let open = |folder: &tempfile::TempDir| {
            let one = rusqlite::Connection::open(folder.path().join("x")).unwrap();
            one.execute_batch("CREATE TABLE t (n)").unwrap();
            one
        };
        let [failing, sound] = folders.each_ref().map(open);
        let insert = |one: &rusqlite::Connection| one.execute("INSERT INTO t VALUES (1)", []);
        let failures = (0..40).filter(|_| insert(&failing).is_err()).count();
        assert_eq!((failures, disk.failed()), (1, 1));
        assert!((0..40).all(|_| insert(&sound).is_ok()));
        let count = "SELECT count(*) FROM t";
        let kept: i64 = failing.query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 39);
        drop(disk);
        assert!(insert(&failing).is_ok());
    }
}

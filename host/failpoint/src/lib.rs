//! Named points at which a process can be made to wait, so that a test can kill
//! it exactly there.
//!
//! The points are always compiled and cost one look at a variable that was read
//! once. `DARKROOM_FAILPOINT=name=/path/to/file` arms one point in a process and
//! in the processes that it starts: the first process that reaches it creates the
//! file with its own pid in it and waits until it is killed, or until the file has
//! been removed. A point whose file exists already is passed, so that the process
//! that takes a killed one's place doesn't stop there again. `name@3=…` means the third
//! time that a process comes by, `name#place=…` that point about that place only.
//!
//! A simulation that has a whole process on one thread watches its points with [`within`].
//!
//! This crate must not be used to change what a process does, only to hold it.

pub mod elsewhere;
pub mod within;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The variable that arms a point.
pub const VARIABLE: &str = "DARKROOM_FAILPOINT";

/// How often a waiting process looks whether it has been let go.
const LOOK: Duration = Duration::from_millis(10);

struct Armed {
    name: String,
    /// What it has to be about; none: anything.
    place: Option<String>,
    file: PathBuf,
    /// How many times a process still passes before it is held.
    passes: AtomicU32,
}

impl Armed {
    /// Counts an arrival at `name`; true when it is the one that is held.
    fn holds(&self, name: &str, place: &str) -> bool {
        self.name == name
            && self.place.as_ref().is_none_or(|wanted| wanted == place)
            && self
                .passes
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    Some(left.saturating_sub(1))
                })
                .is_ok_and(|left| left <= 1)
    }
}

/// Reads `name=file`, `name@count=file` or `name#place=file`; anything else arms nothing.
fn parse(value: &str) -> Option<Armed> {
    let (name, file) = value.split_once('=')?;
    let (name, place) = match name.split_once('#') {
        Some((name, place)) => (name, Some(place.to_owned())),
        None => (name, None),
    };
    let (name, count) = match name.split_once('@') {
        Some((name, count)) => (name, count.parse().ok()?),
        None => (name, 1),
    };
    (!name.is_empty() && !file.is_empty() && count > 0).then(|| Armed {
        name: name.into(),
        place,
        file: file.into(),
        passes: AtomicU32::new(count),
    })
}

fn armed() -> Option<&'static Armed> {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    ARMED
        .get_or_init(|| std::env::var(VARIABLE).ok().as_deref().and_then(parse))
        .as_ref()
}

/// Marks the place `name`. It returns at once unless a test has armed it, and then
/// blocks the calling thread. In asynchronous code use [`reach`].
pub fn reach_blocking(name: &str) {
    if let Some(point) = armed().filter(|point| point.holds(name, ""))
        && occupy(point)
    {
        while point.file.exists() {
            std::thread::sleep(LOOK);
        }
    }
}

/// Marks the place `name` in asynchronous code: only the calling task waits, so
/// that a server that is held at one request goes on answering others.
pub async fn reach(name: &str) {
    reach_at(name, "", "").await;
}

/// As [`reach`], where a simulation is also told what it is about, and where in that.
pub async fn reach_at(name: &str, subject: &str, place: &str) {
    let point = within::Point {
        name,
        subject,
        place,
    };
    if within::holds(&point) {
        std::future::pending::<()>().await;
    }
    let Some(point) = armed().filter(|point| point.holds(name, place)) else {
        return;
    };
    if occupy(point) {
        while point.file.exists() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Creates the file with this process's pid; false when somebody was here before.
/// The pid is complete when the file appears, because it is linked into place.
fn occupy(point: &Armed) -> bool {
    let pid = std::process::id();
    let draft = point.file.with_extension(format!("{pid}.draft"));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&draft)
        .and_then(|mut file| write!(file, "{pid}"))
        .and_then(|()| fs::hard_link(&draft, &point.file));
    // A draft that stays behind is harmless, so that this need not succeed.
    drop(fs::remove_file(&draft));
    written.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_with_a_file_arms() {
        assert!(parse("").is_none());
        assert!(parse("engine.start").is_none());
        assert!(parse("=file").is_none());
        let point = parse("engine.start=/tmp/a=b").unwrap();
        assert_eq!(point.name, "engine.start");
        assert!(parse("engine.start@0=/tmp/a").is_none());
        assert!(parse("engine.start@x=/tmp/a").is_none());
        assert_eq!(point.file, PathBuf::from("/tmp/a=b"));
    }

    #[test]
    fn a_count_lets_a_process_pass_that_often() {
        let point = parse("x@3=/tmp/a").unwrap();
        let held: Vec<_> = ["x", "y", "x", "x", "x"]
            .map(|name| point.holds(name, "anywhere"))
            .into();
        assert_eq!(held, [false, false, false, true, true]);
        assert!(parse("x=/tmp/a").unwrap().holds("x", ""));
    }

    #[test]
    fn a_place_lets_a_process_pass_elsewhere() {
        let point = parse("x#build/1@2=/tmp/a").unwrap();
        assert!(!point.holds("x", ""));
        assert!(!point.holds("x", "build/1"));
        assert!(point.holds("x", "build/1@2"));
        assert!(!point.holds("y", "build/1@2"));
    }

    #[test]
    fn the_first_process_occupies_a_point_and_later_ones_pass() {
        let folder = tempfile::tempdir().unwrap();
        let point = parse(&format!("x={}", folder.path().join("hit").display())).unwrap();
        assert!(occupy(&point));
        assert!(!occupy(&point));
        let pid = fs::read_to_string(&point.file).unwrap();
        assert_eq!(pid, std::process::id().to_string());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

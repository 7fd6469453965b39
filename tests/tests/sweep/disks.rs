//! A journal whose disk fails: a record that is torn, no room, and errors of reading,
//! writing and syncing.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use darkroom_chaos::{End, Fate, Moment, SiteError};
use darkroom_engine::Status;
use darkroom_tests::failing_disk::FailingDisk;

use crate::cells::each;
use crate::draw::{Draw, is_long};
use crate::faults::{calls, report};
use crate::scene::{Trial, ask, is_clean, scene};

/// Calls whose record is torn in `make test`.
const SAMPLE: usize = 8;

/// The intent was being written when the machine died: it is torn, and nothing of it was
/// attempted.
#[test]
fn the_last_record_is_torn() {
    let start = Instant::now();
    let mut calls = calls("torn", SAMPLE);
    // Branches beside each other commit together.
    calls.retain(|call| {
        call.nth == 0 && !call.place.is_empty() && !call.place.starts_with("distribute")
    });
    let failed = each(&calls, |call| {
        scene().play(async |trial| {
            trial.cut(call, Moment::BeforeCall).await?;
            tear(&trial.site.state().join("journal.sqlite-wal"))?;
            let (_, outcome) = trial.resume().await;
            trial.judge(outcome).await
        })
    });
    report(
        "the record before each is torn",
        start,
        calls.len(),
        &failed,
    );
}

/// Cuts a write-ahead log in the middle of its last commit's last frame
/// (<https://www.sqlite.org/fileformat2.html#walformat>).
fn tear(path: &Path) -> Result<(), String> {
    const HEADER: usize = 32;
    const FRAME: usize = 24;
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let number = |at: usize| {
        bytes
            .get(at..at + 4)
            .map(|word| <[u8; 4]>::try_from(word).unwrap())
    };
    let page = number(8).ok_or("no log")?;
    let size = FRAME + usize::try_from(u32::from_be_bytes(page)).unwrap();
    let salt = (number(16), number(20));
    let mut last = None;
    let mut at = HEADER;
    while number(at + 8).is_some() && (number(at + 8), number(at + 12)) == salt {
        if number(at + 4) != Some([0; 4]) {
            last = Some(at);
        }
        at += size;
    }
    let last = last.ok_or("no commit in the log")?;
    let file = std::fs::OpenOptions::new().write(true).open(path);
    let length = u64::try_from(last + size / 2).unwrap();
    file.and_then(|file| file.set_len(length))
        .map_err(|error| error.to_string())
}

/// Operations on the journal's files that fail in `make test`, and in the long tier.
const FAILURES: usize = 6;
const ALL_FAILURES: usize = 300;

/// Reading, writing or syncing the journal's files fails at some moment of the run, once
/// or until the process has ended (`EIO`). Where that stops it, it can be resumed.
#[test]
fn the_disk_of_the_journal_fails() {
    let start = Instant::now();
    let operations = scene().play(async |trial| {
        let disk = FailingDisk::under(&trial.site.state(), u64::MAX, None);
        let (_, outcome) = trial.resume().await;
        trial.judge(outcome).await.unwrap();
        disk.passed()
    });
    assert!(operations > 300, "{operations}");
    let step = usize::try_from(operations).unwrap() / ALL_FAILURES;
    let mut failures: Vec<(u64, Option<u64>)> = (0..operations)
        .step_by(step.max(1))
        .flat_map(|after| [(after, Some(1)), (after, None)])
        .collect();
    if !is_long() {
        failures = Draw::new("failing disk").take(failures, FAILURES);
    }
    let (failing, stopped) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed = each(&failures, |(after, times)| {
        scene().play(async |trial| {
            let disk = FailingDisk::under(&trial.site.state(), *after, *times);
            let run = trial.run.clone();
            let life = trial.site.life(Fate::None);
            let end = trial.site.live(&[run], &life, &ask()).await;
            if disk.failed() > 0 {
                failing.fetch_add(1, Ordering::Relaxed);
            }
            drop(disk);
            goes_on(trial, end, &stopped).await
        })
    });
    println!(
        "failing disks: {operations} operations; {} tried, of which {} failed and {} stopped the run, {:.1} s",
        failures.len(),
        failing.into_inner(),
        stopped.into_inner(),
        start.elapsed().as_secs_f64()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The disk is well again: a run that was stopped is resumed, and ends as if nothing had
/// been. One that has failed for it (a file of its own could not be written) is clean.
async fn goes_on(
    trial: &mut Trial<'_>,
    end: Result<End, SiteError>,
    stopped: &AtomicUsize,
) -> Result<(), String> {
    let over = match end {
        Ok(End::Over(mut over)) => over.pop().unwrap().ok(),
        Ok(End::Crashed) => return Err("it has crashed".to_owned()),
        // Not even the journal could be opened.
        Err(_) => None,
    };
    let outcome = match over {
        Some(outcome) if outcome.manifest.status != Status::Success => {
            stopped.fetch_add(1, Ordering::Relaxed);
            return is_clean(trial, &outcome.manifest).await;
        }
        Some(outcome) => Ok(outcome),
        None => {
            stopped.fetch_add(1, Ordering::Relaxed);
            trial.resume().await.1
        }
    };
    trial.judge(outcome).await
}

/// The journal's disk, of a mebibyte, is full at some moment of the run; then it is not.
#[test]
fn the_disk_is_full() {
    if !darkroom_tests::house::is_root() {
        println!("not run: needs root");
        return;
    }
    let start = Instant::now();
    // What is free when the run begins, in KiB.
    let mut free = vec![
        8, 40, 64, 96, 120, 144, 176, 208, 240, 300, 360, 420, 500, 580,
    ];
    if !is_long() {
        free = Draw::new("full disk").take(free, 3);
    }
    let stopped = AtomicUsize::new(0);
    let failed = each(&free, |free| {
        scene().play(async |trial| {
            let disk = Disk::under(&trial.site.state());
            disk.leave(*free);
            let run = trial.run.clone();
            let life = trial.site.life(Fate::None);
            let end = trial.site.live(&[run], &life, &ask()).await;
            disk.grow();
            goes_on(trial, end, &stopped).await
        })
    });
    println!(
        "full disks: {} of which {} stopped the run, {:.1} s",
        free.len(),
        stopped.into_inner(),
        start.elapsed().as_secs_f64()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A disk of its own below a folder, with what was in it.
struct Disk(std::path::PathBuf);

impl Disk {
    fn under(folder: &Path) -> Self {
        let kept = folder.with_extension("kept");
        let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
            let status = std::process::Command::new(program).args(arguments).status();
            assert!(status.unwrap().success(), "{program}");
        };
        std::fs::rename(folder, &kept).unwrap();
        std::fs::create_dir(folder).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"].map(std::ffi::OsStr::new);
        run("mount", &[&options[..], &[folder.as_os_str()]].concat());
        let from = kept.join(".");
        run(
            "cp",
            &[
                std::ffi::OsStr::new("-a"),
                from.as_os_str(),
                folder.as_os_str(),
            ],
        );
        Self(folder.to_owned())
    }

    /// Fills it but for so many KiB.
    fn leave(&self, free: u64) {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        let fill = (stat.f_bavail * stat.f_frsize).saturating_sub(free * 1024);
        std::fs::write(
            self.0.join("filler"),
            vec![0; usize::try_from(fill).unwrap()],
        )
        .unwrap();
    }

    /// There is room again.
    fn grow(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
        let status = std::process::Command::new("mount")
            .args(["-o", "remount,size=64m"])
            .arg(&self.0)
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever has it open goes after this.
        drop(
            std::process::Command::new("umount")
                .arg("-l")
                .arg(&self.0)
                .status(),
        );
    }
}

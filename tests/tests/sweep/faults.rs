//! Every call fails once, fails for ever, or loses its answer; and other ends of a process
//! than SIGKILL.

use std::path::Path;
use std::time::{Duration, Instant};

use darkroom_chaos::{Call, End, Fate, Hindrance, How, Moment};
use darkroom_engine::{EngineError, Status};
use darkroom_tests::guests;

use crate::cells::each;
use crate::draw::{Draw, is_long};
use crate::scene::{Scene, Trial, ask, is_as_before, reference, scene};

/// Calls of each kind of fault that `make test` tries.
const SAMPLE: usize = 5;

/// All calls, or some, in a test of this name.
fn calls(test: &str, count: usize) -> Vec<Call> {
    let all = reference().calls.clone();
    if is_long() {
        all
    } else {
        Draw::new(test).take(all, count)
    }
}

fn report(what: &str, start: Instant, count: usize, failed: &[String]) {
    let of = reference().calls.len();
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {count} of {of} calls, {seconds:.1} s");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn refuse(call: &Call, times: Option<u32>, status: u16, code: &str) -> Vec<Hindrance> {
    vec![Hindrance {
        call: Some(call.clone()),
        times,
        how: How::Refuse {
            status,
            code: code.into(),
        },
    }]
}

#[test]
fn every_call_fails_once() {
    let (start, calls) = (Instant::now(), calls("fails once", SAMPLE));
    let failed = each(&calls, |call| {
        scene().play(async |trial| {
            let life = trial.site.life(Fate::None);
            life.hinder(refuse(call, Some(1), 503, "ServiceUnavailable"));
            let outcome = trial.resume_as(&life).await;
            trial.judge(outcome).await
        })
    });
    report("each fails once", start, calls.len(), &failed);
}

/// Each call is made twice: what the first one did, nobody was told.
#[test]
fn every_answer_is_lost_once() {
    let start = Instant::now();
    let judged = scene().play(async |trial| {
        let mut lives = 0;
        loop {
            let life = trial.site.life(Fate::None);
            life.hinder(vec![Hindrance {
                call: None,
                times: Some(1),
                how: How::LoseResponse,
            }]);
            match trial.resume_as(&life).await {
                // Nobody knows whether it was done: a call without a token is not
                // repeated at once, but by a resume, which looks first.
                Err(EngineError::Unavailable { .. }) if lives < 3 => {
                    lives += 1;
                    trial.site.clock().sleep(Duration::from_mins(1)).await;
                }
                outcome => return trial.judge(outcome).await,
            }
        }
    });
    let all = reference().calls.len();
    report(
        "each is executed twice",
        start,
        all,
        &judged.err().into_iter().collect::<Vec<_>>(),
    );
}

/// The undo stack leaves a clean world; where it is the undoing that fails, the run says
/// so, and ends when that works again.
#[test]
fn every_call_fails_for_ever() {
    let (start, calls) = (Instant::now(), calls("fails for ever", SAMPLE));
    let failed = each(&calls, |call| {
        scene().play(async |trial| {
            let life = trial.site.life(Fate::None);
            life.hinder(refuse(call, None, 403, "Forbidden.RAM"));
            let ended = match trial.resume_as(&life).await {
                Ok(outcome) => Ok(outcome),
                Err(EngineError::Left { .. }) => trial.resume().await.1,
                Err(error) => {
                    return Err(format!("neither ended nor said what is left: {error:?}"));
                }
            };
            let outcome = ended.map_err(|error| format!("{error:?}"))?;
            is_clean(trial, outcome.manifest.status).await
        })
    });
    report("each fails for ever", start, calls.len(), &failed);
}

/// Nothing but images is left; none of those either where the run failed.
async fn is_clean(trial: &Trial<'_>, status: Status) -> Result<(), String> {
    trial.look_for_the_secret()?;
    if matches!(status, Status::Failed | Status::Cancelled) {
        return is_as_before(trial).await;
    }
    let books = darkroom_chaos::Books::read(&trial.site).await.unwrap();
    let images = |what: &str| what.starts_with("image ") || what.starts_with("snapshot ");
    let others: Vec<_> = books.counts.keys().filter(|what| !images(what)).collect();
    if others.is_empty() {
        Ok(())
    } else {
        Err(format!("left: {others:?}"))
    }
}

#[test]
fn a_panic_anywhere_is_a_crash() {
    let (start, calls) = (Instant::now(), calls("panic", SAMPLE));
    let failed = each(&calls, |call| {
        scene().play(async |trial| {
            let life = trial
                .site
                .life(Fate::Cut(call.clone(), Moment::BeforeOutcome));
            life.panic();
            trial.crash(&life).await?;
            let (_, outcome) = trial.resume().await;
            trial.judge(outcome).await
        })
    });
    report("a panic after each", start, calls.len(), &failed);
}

#[test]
fn a_trap_in_a_component_leaves_nothing() {
    let scene = Scene::with(guests::trapping);
    scene.play(async |trial| {
        let (_, outcome) = trial.resume().await;
        let status = outcome.unwrap().manifest.status;
        assert_eq!(status, Status::Failed);
        is_as_before(trial).await.unwrap();
    });
}

/// The intent was being written when the machine died: it is torn, and nothing of it was
/// attempted.
#[test]
fn the_last_record_is_torn() {
    let start = Instant::now();
    let mut calls = calls("torn", SAMPLE * 2);
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
    let stopped = std::sync::atomic::AtomicUsize::new(0);
    let failed = each(&free, |free| {
        scene().play(async |trial| {
            let disk = Disk::under(&trial.site.state());
            disk.leave(*free);
            let run = trial.run.clone();
            let life = trial.site.life(Fate::None);
            let end = trial.site.live(&[run], &life, &ask()).await.unwrap();
            disk.grow();
            let End::Over(mut over) = end else {
                return Err("it has crashed".to_owned());
            };
            let outcome = match over.pop().unwrap() {
                // A full disk that hit a file of the run is a failure of the run.
                Ok(outcome) if outcome.manifest.status != Status::Success => {
                    stopped.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    return is_clean(trial, outcome.manifest.status).await;
                }
                Ok(outcome) => Ok(outcome),
                Err(_) => {
                    stopped.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    trial.resume().await.1
                }
            };
            trial.judge(outcome).await
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

//! The whole output of an attempt, kept with the run.
//!
//! What fits into the 24 KB that Cloud Assistant keeps is in the invocation. Where that
//! was cut, the log is compressed in the instance and read in slices by bare commands,
//! over the wire, and its size and digest are compared with the instance's own.

use std::io;
use std::time::Duration;

use flate2::read::GzDecoder;

use super::request::{Target, command};
use super::revive::through_losses;
use super::wrap::quote;
use super::{Invocation, script};
use crate::folder::{Measured, RunFolder};
use crate::operation::Operation;
use crate::trouble::Trouble;
use crate::{Scope, Stop};

/// Slices that one operation reads.
const SLICES: u64 = 64;

/// Bytes of an output that are kept: its end. A command that prints for ever fills its own
/// disk, and must not fill that of the host.
const LONGEST: u64 = 256 << 20;

/// How long measuring and compressing a file in the instance may take.
const SEAL_SECONDS: u32 = 600;

/// Where files of an instance go.
#[derive(Clone, Copy)]
pub(super) struct Keeper<'a> {
    pub target: &'a Target,
    pub folder: &'a RunFolder,
    /// Whether the run has secrets, which must not be in what is kept.
    pub hides: bool,
}

/// Keeps the whole output of `invocation` at `to` and measures it. `log` is where the
/// wrapper keeps it in the instance.
pub(super) async fn keep(
    scope: &Scope,
    keeper: Keeper<'_>,
    invocation: &Invocation,
    log: &str,
    to: &str,
) -> Result<Measured, Stop> {
    if invocation.dropped == 0 {
        let folder = keeper.folder;
        folder
            .write(to, &invocation.bytes())
            .map_err(|error| Stop::Failed(Trouble::file("write", to, &error)))?;
        return measure(folder, to);
    }
    bring(scope, keeper, log, &format!("{log}.gz"), to, Some(LONGEST)).await
}

fn measure(folder: &RunFolder, path: &str) -> Result<Measured, Stop> {
    folder
        .measure(path)
        .map_err(|error| Stop::Failed(Trouble::file("read", path, &error)))
}

/// Brings a file of the instance to `to`, or the last `most` bytes of it and a line that
/// says so; `packed` is where it is compressed there.
pub(super) async fn bring(
    scope: &Scope,
    keeper: Keeper<'_>,
    path: &str,
    packed: &str,
    to: &str,
    most: Option<u64>,
) -> Result<Measured, Stop> {
    let seal = &seal(path, packed, most);
    through_losses(scope, keeper.target, "fetch", |scope| async move {
        fetch(&scope, keeper, path, packed, to, seal).await
    })
    .await
}

/// Brings the file once; none where the instance was lost meanwhile.
async fn fetch(
    scope: &Scope,
    keeper: Keeper<'_>,
    path: &str,
    packed: &str,
    to: &str,
    seal: &str,
) -> Result<Option<Measured>, Stop> {
    let Keeper { target, folder, .. } = keeper;
    let request = command(target, "measure output", seal, SEAL_SECONDS);
    let ended = script::send(scope, target, &request, "", SEAL_SECONDS).await?;
    if ended.is_lost() {
        return Ok(None);
    }
    let sealed = parse(&ended.text())
        .filter(|_| ended.succeeded())
        .ok_or_else(|| {
            let said = ended.text();
            let said = said.trim().lines().next_back().unwrap_or_default();
            Stop::Failed(Trouble::State {
                subject: format!("instance {}", target.instance),
                problem: format!("{path} can't be measured: {} {said}", ended.words()),
                hint: None,
            })
        })?;
    darkroom_failpoint::reach("engine.fetch").await;
    let count = sealed.packed.div_ceil(crate::cloud::files::FETCHED);
    if keeper.hides {
        let operation = Operation::FetchMasked {
            region: target.region.clone(),
            instance: target.instance.clone(),
            path: packed.to_owned(),
            count,
            content: sealed.content,
            to: to.to_owned(),
        };
        let masked = serde_json::from_value(scope.run(operation).await?);
        return masked
            .map(Some)
            .map_err(|error| Stop::Failed(Trouble::internal("FetchMasked", &error)));
    }
    let temporary = format!("{to}.gz");
    let mut from = 0;
    while from < count {
        let slices = SLICES.min(count - from);
        scope
            .run(Operation::Fetch {
                region: target.region.clone(),
                instance: target.instance.clone(),
                path: packed.to_owned(),
                from,
                count: slices,
                to: temporary.clone(),
            })
            .await?;
        from += slices;
    }
    let measured = unpack(folder, &temporary, to)
        .and_then(|()| folder.measure(to))
        .map_err(|error| Stop::Failed(Trouble::file("unpack", to, &error)))?;
    if measured != sealed.content {
        return Err(Stop::Failed(Trouble::State {
            subject: format!("instance {}", target.instance),
            problem: format!("{path} did not arrive as it was"),
            hint: None,
        }));
    }
    // A file that stays costs space only.
    drop(std::fs::remove_file(folder.file(&temporary)));
    Ok(Some(measured))
}

/// The script that compresses `path` and says the size and digest of what it has
/// compressed. A daemon may go on writing to the file, so that is measured and not the
/// file, which is another one a moment later.
fn seal(path: &str, packed: &str, most: Option<u64>) -> String {
    let (path, packed) = (quote(path), quote(packed));
    let pack = match most {
        None => format!("gzip -1 -c {path} > {packed}"),
        Some(most) => format!(
            "if [ \"$(wc -c < {path})\" -gt {most} ]; then {{ echo 'darkroom: the beginning of this output was left out'; tail -c {most} {path}; }} | gzip -1 -c > {packed}; else gzip -1 -c {path} > {packed}; fi"
        ),
    };
    format!(
        "{pack} && printf '%s %s %s\\n' \"$(gzip -d -c < {packed} | wc -c)\" \"$(gzip -d -c < {packed} | sha256sum | cut -d' ' -f1)\" \"$(wc -c < {packed})\"\n",
    )
}

struct Sealed {
    content: Measured,
    packed: u64,
}

fn parse(text: &str) -> Option<Sealed> {
    let mut words = text.split_whitespace();
    let size = words.next()?.parse().ok()?;
    let sha256 = words.next()?.to_owned();
    let packed = words.next()?.parse().ok()?;
    Some(Sealed {
        content: Measured { size, sha256 },
        packed,
    })
}

/// Decompresses in one move. A replay finds the packed file gone and the result there.
fn unpack(folder: &RunFolder, packed: &str, to: &str) -> io::Result<()> {
    let source = match std::fs::File::open(folder.file(packed)) {
        Ok(source) => source,
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder.file(to).exists() => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let draft = folder.file(&format!("{to}.draft"));
    let mut out = std::fs::File::create(&draft)?;
    io::copy(&mut GzDecoder::new(io::BufReader::new(source)), &mut out)?;
    out.sync_all()?;
    std::fs::rename(draft, folder.file(to))
}

/// How long a whole wait for a command of `seconds` may take: its own limit, and what
/// the agent needs to notice.
pub(super) fn patience(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds) + 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The script is run for real, on a file of this test's own.
    #[test]
    fn what_was_compressed_is_what_is_measured() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
        let (path, packed) = (at("it's a log"), at("packed.gz"));
        std::fs::write(&path, "one two").unwrap();
        let run = |text: &str| {
            let out = std::process::Command::new("sh").args(["-c", text]).output();
            String::from_utf8(out.unwrap().stdout).unwrap()
        };
        // Somebody goes on writing between the two halves of the script.
        let daemon = format!("&& echo more >> {} && printf", quote(&path));
        let sealed = parse(&run(
            &seal(&path, &packed, None).replace("&& printf", &daemon)
        ))
        .unwrap();
        let folder = RunFolder::at(root.path().to_owned());
        assert_eq!(sealed.packed, folder.measure("packed.gz").unwrap().size);
        unpack(&folder, "packed.gz", "log").unwrap();
        assert_eq!(folder.measure("log").unwrap(), sealed.content);
        assert_eq!(folder.read("log").unwrap(), b"one two");
    }

    #[test]
    fn of_a_log_that_is_too_long_the_end_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
        let (path, packed) = (at("log"), at("packed.gz"));
        let folder = RunFolder::at(root.path().to_owned());
        for (most, wanted) in [
            (7, "one two"),
            (
                3,
                "darkroom: the beginning of this output was left out\ntwo",
            ),
        ] {
            std::fs::write(&path, "one two").unwrap();
            let text = seal(&path, &packed, Some(most));
            let out = std::process::Command::new("sh")
                .args(["-c", &text])
                .output();
            let sealed = parse(&String::from_utf8(out.unwrap().stdout).unwrap()).unwrap();
            unpack(&folder, "packed.gz", "kept").unwrap();
            assert_eq!(folder.measure("kept").unwrap(), sealed.content);
            assert_eq!(folder.read("kept").unwrap(), wanted.as_bytes());
        }
    }
}

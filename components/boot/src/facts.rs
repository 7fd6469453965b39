//! What `look.sh` found out about a boot. Only reads its lines; `lib.rs` judges.

/// The facts.
#[derive(Debug, Default)]
pub struct Facts {
    /// The word of `systemctl is-system-running`; none without systemctl.
    pub state: Option<String>,
    /// Units that are still to start or to stop.
    pub jobs: Vec<String>,
    /// Units that have failed.
    pub failed: Vec<String>,
    /// Seconds that the boot took, or why that can't be told yet; none without
    /// systemd-analyze.
    pub time: Option<Result<f64, String>>,
    /// Whether the root file system is mounted read-only.
    pub read_only: bool,
    /// What is free.
    pub free: Vec<Free>,
    /// Errors of the kernel; none where they are another machine's or can't be read.
    pub errors: Option<Vec<String>>,
}

/// What is free where a folder is.
#[derive(Debug, PartialEq, Eq)]
pub struct Free {
    /// The folder.
    pub folder: String,
    /// None where there is no such folder.
    pub mebibytes: Option<u64>,
    /// None where the file system doesn't say.
    pub inodes: Option<u64>,
}

impl Facts {
    /// Reads the output of `look.sh`; lines that it doesn't know are passed over.
    pub fn read(output: &str) -> Self {
        let mut facts = Self::default();
        for line in output.lines() {
            let Some((word, value)) = line.split_once(' ') else {
                continue;
            };
            match word {
                "state" => facts.state = Some(value.to_owned()),
                "job" => facts.jobs.push(value.to_owned()),
                "failed" => facts.failed.push(value.to_owned()),
                "time" => facts.time = Some(time(value)),
                "root" => facts.read_only = value.split(',').any(|option| option == "ro"),
                "free" => facts.free.extend(free(value)),
                "kernel" if value == "read" => facts.errors = Some(Vec::new()),
                "error" => facts.errors.get_or_insert_default().push(value.to_owned()),
                _ => {}
            }
        }
        facts
    }
}

/// `SPACE INODES FOLDER`, the space in KiB, `-` for what is unknown.
fn free(value: &str) -> Option<Free> {
    let mut fields = value.splitn(3, ' ');
    let (space, inodes, folder) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Free {
        folder: folder.to_owned(),
        mebibytes: space.parse::<u64>().ok().map(|kibibytes| kibibytes / 1024),
        inodes: inodes.parse().ok(),
    })
}

/// The sum in the first line of `systemd-analyze`: `Startup finished in 1.5s (kernel) +
/// 2.1s (userspace) = 3.6s`, or without a sum where there is one part only.
fn time(line: &str) -> Result<f64, String> {
    let finished = line.strip_prefix("Startup finished in ");
    let total = finished.and_then(|parts| {
        let sum = parts.rsplit_once(" = ").map(|(_, sum)| sum);
        seconds(sum.unwrap_or(parts.split(" (").next()?))
    });
    total.ok_or_else(|| line.to_owned())
}

/// `1min 2.345s`, `358ms` and the like.
fn seconds(span: &str) -> Option<f64> {
    let mut total = 0.0;
    for part in span.split_whitespace() {
        let unit = part.find(|letter: char| letter.is_ascii_alphabetic())?;
        let number: f64 = part[..unit].parse().ok()?;
        total += number
            * match &part[unit..] {
                "h" => 3600.0,
                "min" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                "us" => 0.000_001,
                _ => return None,
            };
    }
    (total > 0.0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::{Facts, Free, seconds, time};

    #[test]
    fn spans_of_systemd_are_seconds() {
        for (span, wanted) in [
            ("358ms", Some(0.358)),
            ("1min 2.5s", Some(62.5)),
            ("1h 1min", Some(3660.0)),
            ("", None),
            ("soon", None),
            ("3 weeks", None),
        ] {
            assert_eq!(seconds(span), wanted, "{span}");
        }
    }

    #[test]
    fn the_sum_counts_where_there_is_one() {
        assert_eq!(
            time("Startup finished in 1.5s (kernel) + 2.25s (userspace) = 3.75s "),
            Ok(3.75)
        );
        assert_eq!(time("Startup finished in 358ms (userspace) "), Ok(0.358));
        assert!(time("Bootup is not yet finished.").is_err());
    }

    #[test]
    fn lines_are_facts() {
        let facts = Facts::read(
            "state degraded\nfailed a.service\njob b.service\nroot rw,relatime,rw\n\
             free 2048 77 /a b\nfree - - /gone\nkernel read\nerror Oops: 1\n\nwhat\n",
        );
        assert_eq!(facts.state.as_deref(), Some("degraded"));
        assert_eq!(
            (&*facts.failed, &*facts.jobs),
            (&["a.service".to_owned()][..], &["b.service".to_owned()][..])
        );
        assert!(!facts.read_only);
        let free = |folder: &str, mebibytes, inodes| Free {
            folder: folder.into(),
            mebibytes,
            inodes,
        };
        assert_eq!(
            facts.free,
            [free("/a b", Some(2), Some(77)), free("/gone", None, None)]
        );
        assert_eq!(facts.errors, Some(vec!["Oops: 1".to_owned()]));
        assert!(Facts::read("root rw,ro").read_only && Facts::read("root ro,x").read_only);
        assert_eq!(Facts::read("kernel another").errors, None);
    }
}

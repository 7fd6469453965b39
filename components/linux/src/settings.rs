//! Items that are one setting in one file: `GUESTOS.RtcTimeMode` and `GUESTOS.Selinux`.

use crate::judgement::Judgement;
use crate::tree::Tree;

/// The hardware's clock must be taken for UTC, as ECS sets it: else each boot begins with
/// a time that is hours off, and certificates are not valid yet.
pub fn clock(tree: &Tree) -> Judgement {
    let mut judgement = Judgement::default();
    if let Some(file) = tree.files.get("/etc/adjtime") {
        let text = file.text();
        // The third line says it; without one it is UTC.
        if text
            .lines()
            .nth(2)
            .is_some_and(|line| line.trim() == "LOCAL")
        {
            let lines: Vec<_> = text
                .lines()
                .enumerate()
                .map(|(index, line)| if index == 2 { "UTC" } else { line })
                .collect();
            let text = lines.join("\n") + "\n";
            judgement.write(
                "/etc/adjtime",
                file,
                text,
                "the hardware's clock was LOCAL, now UTC",
            );
        }
    }
    if let Some(file) = tree.files.get("/etc/sysconfig/clock") {
        let wrong = |line: &str| {
            let value = line.trim().strip_prefix("UTC=")?;
            let value = value.trim_matches(['"', '\'']);
            ["false", "no", "0"]
                .contains(&&*value.to_lowercase())
                .then(|| "UTC=true".to_owned())
        };
        if let Some(text) = replaced(&file.text(), wrong) {
            judgement.write(
                "/etc/sysconfig/clock",
                file,
                text,
                "the hardware's clock was local, now UTC",
            );
        }
    }
    judgement
}

/// `SELinux` must be disabled: an image whose files carry no labels can't be logged in to
/// while it enforces, and a machine that is repaired from outside loses labels.
pub fn selinux(tree: &Tree) -> Judgement {
    let mut judgement = Judgement::default();
    let Some(file) = tree.files.get("/etc/selinux/config") else {
        return judgement;
    };
    let mut was = String::new();
    let wrong = |line: &str| {
        let value = line.trim().strip_prefix("SELINUX=")?.trim();
        if value.eq_ignore_ascii_case("disabled") {
            return None;
        }
        value.clone_into(&mut was);
        Some("SELINUX=disabled".to_owned())
    };
    if let Some(text) = replaced(&file.text(), wrong) {
        let repaired = format!("it was {was}, now disabled from the next boot on");
        judgement.write("/etc/selinux/config", file, text, repaired);
    }
    judgement
}

/// The text with the lines replaced for which there is something better; none where there
/// is no such line.
pub fn replaced(text: &str, mut better: impl FnMut(&str) -> Option<String>) -> Option<String> {
    let mut changed = false;
    let mut new = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        match better(bare) {
            Some(better) if better != bare => {
                changed = true;
                new.push_str(&better);
                new.push_str(&line[bare.len()..]);
            }
            _ => new.push_str(line),
        }
    }
    changed.then_some(new)
}

#[cfg(test)]
mod tests {
    use super::{clock, selinux};
    use crate::testing::{tree, written};

    #[test]
    fn a_local_clock_becomes_utc() {
        let judge = |text: &str| clock(&tree(&[("/etc/adjtime", text)]));
        assert_eq!(
            written(&judge("0.0 0 0.0\n0\nLOCAL\n")),
            [("/etc/adjtime", "0.0 0 0.0\n0\nUTC\n")]
        );
        for good in ["0.0 0 0.0\n0\nUTC\n", "0.0 0 0.0\n", ""] {
            assert_eq!(judge(good).changes, []);
        }
        let old = clock(&tree(&[("/etc/sysconfig/clock", "ZONE=x\nUTC=false\n")]));
        assert_eq!(
            written(&old),
            [("/etc/sysconfig/clock", "ZONE=x\nUTC=true\n")]
        );
    }

    #[test]
    fn selinux_that_enforces_is_disabled() {
        let judge = |text: &str| selinux(&tree(&[("/etc/selinux/config", text)]));
        let text = "# SELINUX= one of\nSELINUX=enforcing\nSELINUXTYPE=targeted\n";
        let judgement = judge(text);
        assert_eq!(
            written(&judgement),
            [(
                "/etc/selinux/config",
                &*text.replace("enforcing", "disabled")
            )]
        );
        assert_eq!(
            judgement.repaired,
            ["it was enforcing, now disabled from the next boot on"]
        );
        assert_eq!(judge("SELINUX=disabled\n").changes, []);
        assert_eq!(selinux(&tree(&[])).changes, []);
    }
}

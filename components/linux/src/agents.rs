//! The items `GUESTOS.CloudAssistant` and `GUESTOS.SecurityCenterAgent`: the cloud's agents
//! in the machine.
//!
//! Neither can be installed from here: they come from the cloud. One that is there and
//! does not start is put right.

use crate::judgement::{Change, Judgement};
use crate::tree::Tree;

/// The unit of Cloud Assistant.
const UNIT: &str = "aliyun.service";

/// `GUESTOS.CloudAssistant`.
pub fn assist(tree: &Tree) -> Judgement {
    if !tree.has(&["/usr/sbin/aliyun-service", "/usr/local/share/aliyun-assist"]) {
        return Judgement::unrepaired(
            "the agent is not installed; ECS installs it into a running instance \
             (InstallCloudAssistant)",
        );
    }
    starts(tree, UNIT)
}

/// `GUESTOS.SecurityCenterAgent`.
pub fn aegis(tree: &Tree) -> Judgement {
    if tree.has(&["/usr/local/aegis/aegis_client"]) {
        return Judgement::default();
    }
    Judgement::unrepaired(
        "the agent is not installed; ECS installs it where an instance is made with security \
         enhancement",
    )
}

/// A unit that is there must be enabled and not masked. One that isn't there is another
/// init's, which is not looked at.
pub fn starts(tree: &Tree, unit: &str) -> Judgement {
    let mut judgement = Judgement::default();
    let wants = |judgement: &mut Judgement, folder: &str| {
        judgement.changes.push(Change::Link {
            path: format!("/etc/systemd/system/multi-user.target.wants/{unit}"),
            target: format!("{folder}/{unit}"),
        });
    };
    if tree.is_masked(unit) {
        judgement
            .changes
            .push(Change::Remove(format!("/etc/systemd/system/{unit}")));
        judgement.repaired.push(format!("{unit} was masked"));
    }
    if let Some(folder) = tree.unit(unit)
        && !tree.is_enabled(unit)
    {
        wants(&mut judgement, folder);
        judgement.repaired.push(format!("{unit} was not enabled"));
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::{aegis, assist};
    use crate::judgement::{Change, Judgement};
    use crate::tree::Tree;

    const GOOD: &str = "there /usr/sbin/aliyun-service\nunit aliyun.service /etc/systemd/system\n\
        enabled aliyun.service\nthere /usr/local/aegis/aegis_client\n";

    fn read(said: &str) -> Tree {
        Tree::read(said.as_bytes(), false)
    }

    #[test]
    fn agents_that_start_are_in_order() {
        assert_eq!(assist(&read(GOOD)), Judgement::default());
        assert_eq!(aegis(&read(GOOD)), Judgement::default());
        assert_eq!(assist(&Tree::default()).unrepaired.len(), 1);
        assert_eq!(aegis(&Tree::default()).unrepaired.len(), 1);
    }

    #[test]
    fn one_that_does_not_start_is_enabled() {
        let judgement = assist(&read(&GOOD.replace("enabled aliyun.service\n", "")));
        assert_eq!(
            judgement.changes,
            [Change::Link {
                path: "/etc/systemd/system/multi-user.target.wants/aliyun.service".into(),
                target: "/etc/systemd/system/aliyun.service".into(),
            }]
        );
        assert_eq!(judgement.repaired, ["aliyun.service was not enabled"]);
        let masked = assist(&read(&format!("{GOOD}masked aliyun.service\n")));
        assert_eq!(
            masked.changes,
            [Change::Remove("/etc/systemd/system/aliyun.service".into())]
        );
    }
}

//! The items `GUESTOS.CloudInit` and `GUESTOS.OnlineResizeFS`: what sets an instance up at
//! its first boot, and what lets its root file system grow to its disk.
//!
//! Missing packages are installed where the machine itself runs and reaches its
//! repositories. Settings are put right by a file of our own, which is read after all
//! others, so that nobody's file is edited.

use saphyr::{LoadableYamlNode as _, Yaml};

use crate::agents::starts;
use crate::judgement::{Change, Judgement};
use crate::tree::Tree;

/// The file with our settings; `zz` sorts behind what others bring.
const DATASOURCE: &str = "/etc/cloud/cloud.cfg.d/zz-darkroom-datasource.cfg";
/// The same for the growing of the root.
const GROWPART: &str = "/etc/cloud/cloud.cfg.d/zz-darkroom-growpart.cfg";

/// The units without which no boot sets anything up.
const UNITS: [&str; 6] = [
    "cloud-init-local.service",
    "cloud-init.service",
    "cloud-init-main.service",
    "cloud-init-network.service",
    "cloud-config.service",
    "cloud-final.service",
];

/// `GUESTOS.CloudInit`: it is installed, it runs, and it knows ECS's metadata service.
pub fn cloud_init(tree: &Tree) -> Judgement {
    if !tree.has(&["/usr/bin/cloud-init"]) {
        return install(tree, "cloud-init", &["cloud-init"]);
    }
    let mut judgement = Judgement::default();
    if tree.files.contains_key("/etc/cloud/cloud-init.disabled") {
        judgement
            .changes
            .push(Change::Remove("/etc/cloud/cloud-init.disabled".to_owned()));
        judgement
            .repaired
            .push("/etc/cloud/cloud-init.disabled kept it from running".to_owned());
    }
    for unit in UNITS {
        if tree.is_masked(unit) || !tree.has(&["generator"]) {
            judgement.add(starts(tree, unit));
        }
    }
    if let Some(sources) = sources(tree)
        && !sources.iter().any(|source| source == "AliYun")
    {
        let list: Vec<_> = ["AliYun"]
            .into_iter()
            .chain(sources.iter().map(String::as_str))
            .collect();
        judgement.create(
            DATASOURCE,
            &format!(
                "# darkroom: ECS was not among the sources.\ndatasource_list: [{}]\n",
                list.join(", ")
            ),
            format!("its sources were {}, without AliYun", sources.join(", ")),
        );
    }
    judgement
}

/// `GUESTOS.OnlineResizeFS`: growpart is installed and cloud-init may use it.
pub fn growpart(tree: &Tree) -> Judgement {
    if !tree.has(&["/usr/bin/growpart", "/usr/sbin/growpart"]) {
        let package: &'static [&'static str] = if tree.has(&["/usr/bin/apt-get"]) {
            &["cloud-guest-utils"]
        } else if tree.has(&["/usr/bin/zypper"]) {
            &["growpart"]
        } else {
            &["cloud-utils-growpart"]
        };
        return install(tree, "growpart", package);
    }
    if !tree.has(&["/usr/bin/cloud-init"]) {
        return Judgement::unrepaired("growpart is there, but no cloud-init that calls it");
    }
    let mode = last(tree, |config| {
        let mode = config.as_mapping_get("growpart")?.as_mapping_get("mode")?;
        Some(mode.as_str().map_or_else(
            || {
                mode.as_bool()
                    .map_or_else(|| "auto".to_owned(), |mode| mode.to_string())
            },
            ToOwned::to_owned,
        ))
    });
    let mut judgement = Judgement::default();
    if let Some(mode) = mode
        && ["off", "false"].contains(&&*mode)
    {
        judgement.create(
            GROWPART,
            "# darkroom: the root could not grow to its disk.\ngrowpart:\n  mode: auto\n",
            "cloud-init was told not to let the root grow",
        );
    }
    judgement
}

fn install(tree: &Tree, name: &str, packages: &'static [&'static str]) -> Judgement {
    if tree.live {
        return Judgement {
            changes: vec![Change::Install(packages)],
            repaired: vec![format!("{name} was not installed")],
            unrepaired: Vec::new(),
        };
    }
    Judgement::unrepaired(format!(
        "{name} is not installed, and nothing is installed into a machine that does not run"
    ))
}

/// The sources that cloud-init looks for, where a file names them; else it looks for all.
fn sources(tree: &Tree) -> Option<Vec<String>> {
    last(tree, |config| {
        let list = config.as_mapping_get("datasource_list")?.as_sequence()?;
        Some(
            list.iter()
                .filter_map(Yaml::as_str)
                .map(ToOwned::to_owned)
                .collect(),
        )
    })
}

/// What the last file says that says it. Files that are no YAML say nothing: cloud-init
/// passes over them too.
fn last<T>(tree: &Tree, read: impl Fn(&Yaml<'_>) -> Option<T>) -> Option<T> {
    let main = tree
        .below("/etc/cloud/cloud.cfg")
        .filter(|(path, _)| *path == "/etc/cloud/cloud.cfg");
    let more = tree.below("/etc/cloud/cloud.cfg.d/");
    let said = main.chain(more).filter_map(|(_, file)| {
        let text = file.text();
        let documents = Yaml::load_from_str(&text).ok()?;
        read(documents.first()?)
    });
    said.last()
}

#[cfg(test)]
mod tests {
    use super::{DATASOURCE, cloud_init, growpart};
    use crate::judgement::{Change, Judgement};
    use crate::testing::written;
    use crate::tree::{File, Tree};

    const GOOD: &str = "there /usr/bin/cloud-init\nthere /usr/bin/growpart\nthere generator\n\
        unit cloud-init.service /usr/lib/systemd/system\n";

    fn with(said: &str, files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::read(said.as_bytes(), false);
        for (path, text) in files {
            let file = File {
                mode: 0o644,
                owner: "root:root".into(),
                bytes: text.as_bytes().to_vec(),
            };
            tree.files.insert((*path).into(), file);
        }
        tree
    }

    #[test]
    fn what_is_in_order_is_left_alone() {
        for files in [
            &[][..],
            &[(
                "/etc/cloud/cloud.cfg",
                "users: [default]\ngrowpart:\n  mode: auto\n",
            )],
            &[
                ("/etc/cloud/cloud.cfg", "datasource_list: [None]\n"),
                (
                    "/etc/cloud/cloud.cfg.d/90.cfg",
                    "datasource_list: [ AliYun ]\n",
                ),
            ],
            &[("/etc/cloud/cloud.cfg.d/broken.cfg", "a: [\n")],
        ] {
            let tree = with(GOOD, files);
            assert_eq!(cloud_init(&tree), Judgement::default());
            assert_eq!(growpart(&tree), Judgement::default());
        }
    }

    #[test]
    fn a_list_without_ecs_gets_it_first() {
        let tree = with(
            GOOD,
            &[(
                "/etc/cloud/cloud.cfg.d/90_dpkg.cfg",
                "datasource_list: [NoCloud, None]\n",
            )],
        );
        let judgement = cloud_init(&tree);
        let (path, text) = written(&judgement)[0];
        assert_eq!(path, DATASOURCE);
        assert!(text.ends_with("datasource_list: [AliYun, NoCloud, None]\n"));
        let mended = with(
            GOOD,
            &[
                (
                    "/etc/cloud/cloud.cfg.d/90_dpkg.cfg",
                    "datasource_list: [None]\n",
                ),
                (path, text),
            ],
        );
        assert_eq!(cloud_init(&mended), Judgement::default());
    }

    #[test]
    fn what_keeps_it_from_running_goes() {
        let disabled = cloud_init(&with(GOOD, &[("/etc/cloud/cloud-init.disabled", "")]));
        assert_eq!(
            disabled.changes,
            [Change::Remove("/etc/cloud/cloud-init.disabled".into())]
        );
        let masked = cloud_init(&with(&format!("{GOOD}masked cloud-final.service\n"), &[]));
        assert_eq!(masked.repaired, ["cloud-final.service was masked"]);
        let bare = cloud_init(&with(&GOOD.replace("there generator\n", ""), &[]));
        assert_eq!(bare.repaired, ["cloud-init.service was not enabled"]);
    }

    #[test]
    fn packages_are_installed_only_where_the_machine_runs() {
        let mut tree = with("there /usr/bin/apt-get\n", &[]);
        assert_eq!(cloud_init(&tree).unrepaired.len(), 1);
        tree.live = true;
        assert_eq!(
            growpart(&tree).changes,
            [Change::Install(&["cloud-guest-utils"])]
        );
        assert_eq!(
            cloud_init(&tree).changes,
            [Change::Install(&["cloud-init"])]
        );
    }

    #[test]
    fn a_root_that_may_not_grow_may_again() {
        for mode in ["off", "'off'", "false"] {
            let tree = with(
                GOOD,
                &[(
                    "/etc/cloud/cloud.cfg",
                    &format!("growpart: {{ mode: {mode} }}\n"),
                )],
            );
            assert_eq!(written(&growpart(&tree)).len(), 1, "{mode}");
        }
    }
}

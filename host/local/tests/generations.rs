//! Images built on images built on images: they still boot when their layers have been
//! squashed, and hold what every generation did.
//!
//! With `DARKROOM_LONG=1` there are a hundred generations, each made by its own running
//! instance; else forty, of which a few run.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod sandbox_machine;

use darkroom_local::driver::{Driver as _, LayerId};
use darkroom_local::sandbox::layers::squash::MOST_LAYERS;
use sandbox_machine::{Cloud, Instance, not_run};

/// What a generation does: each writes a file of its own, replaces one, removes its
/// grandmother's, and turns a folder into a file or back.
fn script(generation: usize) -> String {
    let gone = generation.saturating_sub(2);
    let turn = if generation.is_multiple_of(2) {
        "mkdir /opt/turn && touch /opt/turn/$own"
    } else {
        "touch /opt/turn"
    };
    format!(
        "set -e; own={generation}; echo $own > /opt/own-$own; echo $own > /opt/latest
         rm -f /opt/own-{gone}; rm -rf /opt/turn /usr/share/bash-completion; {turn}"
    )
}

/// What must be there after it.
async fn look(instance: &Instance<'_>, generation: usize) {
    let last = generation.saturating_sub(1);
    let turn = if generation.is_multiple_of(2) {
        format!("directory\n{generation}")
    } else {
        "regular empty file\n/opt/turn".to_owned()
    };
    let seen = instance
        .sh(
            "cat /opt/latest; ls -d /opt/own-*; stat -c %F /opt/turn; ls /opt/turn
             [ -e /usr/share/bash-completion ] || echo gone; systemctl is-system-running --wait",
        )
        .await;
    let wanted =
        format!("{generation}\n/opt/own-{last}\n/opt/own-{generation}\n{turn}\ngone\nrunning\n");
    // In the order of names.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&seen), sorted(&wanted), "generation {generation}");
}

/// One more generation: an instance of the image runs the script and becomes the next.
async fn run(cloud: &Cloud, layers: &[LayerId], generation: usize) -> Vec<LayerId> {
    let instance = cloud.instance_of(&cloud.spec(layers, false)).await;
    instance.sh(&script(generation)).await;
    instance.stop().await;
    next(cloud, &instance.id).await
}

/// One more without a boot: what the instance would have written is put on its disk.
async fn write(cloud: &Cloud, layers: &[LayerId], generation: usize) -> Vec<LayerId> {
    let spec = cloud.spec(layers, false);
    cloud.driver.create(&spec).await.unwrap();
    let folder = cloud.folder.path().join("instances").join(spec.id.as_str());
    std::fs::write(
        folder
            .join("disk/upper")
            .join(format!("written-{generation}")),
        "",
    )
    .unwrap();
    next(cloud, &spec.id).await
}

async fn next(cloud: &Cloud, id: &darkroom_ecs::id::InstanceId) -> Vec<LayerId> {
    let commit = cloud.driver.commit(id, "c-1").await.unwrap();
    cloud.driver.delete(id).await.unwrap();
    assert!(
        commit.layers.len() <= MOST_LAYERS,
        "{}",
        commit.layers.len()
    );
    commit.layers
}

#[tokio::test(flavor = "multi_thread")]
async fn generations_of_images_still_boot() {
    if not_run() {
        return;
    }
    let long = std::env::var_os("DARKROOM_LONG").is_some();
    let (generations, every) = if long {
        (100, 1)
    } else {
        (40, MOST_LAYERS - 1)
    };
    let cloud = Cloud::new().await;
    let mut layers = cloud.layers.clone();
    let mut ran = 0;
    let mut written = 0;
    for generation in 1..=generations {
        if generation % every == 0 || generation == generations || generation < 3 {
            ran += 1;
            layers = run(&cloud, &layers, ran).await;
        } else {
            written += 1;
            layers = write(&cloud, &layers, generation).await;
        }
    }
    let last = cloud.instance_of(&cloud.spec(&layers, false)).await;
    look(&last, ran).await;
    let count = last.sh("ls / | grep -c ^written- || true").await;
    assert_eq!(count.trim(), written.to_string());
}

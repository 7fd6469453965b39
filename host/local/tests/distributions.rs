//! Every distribution that can be bootstrapped is, and boots: with `DARKROOM_LONG=1`,
//! because each takes half a minute and its archive.

mod sandbox_machine;

use darkroom_local::bootstrap::{DISTRIBUTIONS, Options, bootstrap};
use darkroom_local::driver::{Driver as _, LayerId};
use sandbox_machine::{Cloud, cache, not_run, region};

#[tokio::test(flavor = "multi_thread")]
async fn every_distribution_boots_with_its_own_packages() {
    if std::env::var_os("DARKROOM_LONG").is_none() {
        println!("long tier: every_distribution_boots_with_its_own_packages");
        return;
    }
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    for distribution in DISTRIBUTIONS {
        let mut lines = Vec::new();
        let mut progress = |one| lines.push(format!("{one:?}"));
        let made = bootstrap(Options {
            name: distribution.name.into(),
            ..Options::new(cache(), &mut progress)
        });
        let base = made
            .unwrap_or_else(|error| panic!("{}: {error}\n{lines:#?}", distribution.name))
            .base;
        let imported = cloud.driver.import_base(&base, &region()).await;
        let layers: Vec<LayerId> = imported.unwrap();
        let instance = cloud.instance_of(&cloud.spec(&layers, true)).await;
        let release = instance.sh(". /etc/os-release; echo $ID-$VERSION_ID").await;
        assert_eq!(release.trim(), distribution.name);
        let state = instance
            .sh("systemctl is-system-running --wait || systemctl --failed --plain --no-legend; journalctl -b -p warning --no-pager | tail -30")
            .await;
        assert!(
            state.starts_with("running\n"),
            "{}: {state}",
            distribution.name
        );
        instance
            .sh("apt-get update -q && apt-get install -y -q --no-install-recommends hello && hello")
            .await;
        instance.stop().await;
    }
}

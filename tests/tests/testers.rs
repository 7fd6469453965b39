//! Testers, each on a real instance: on a machine that is as it should be, and on one where
//! just that is broken.

use darkroom_contract::{CaseStatus, Role};
use darkroom_tests::bench::Bench;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_bench_carries_out_what_components_ask_for() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    // More output than one command brings along arrives whole and in order.
    let (code, output) = bench.try_sh("seq 1 20000; exit 3").await;
    assert_eq!((code, output.len()), (3, 108_894));
    assert!(output.starts_with("1\n2\n") && output.ends_with("\n20000\n"));

    let service = bench.component("service");
    let with = json!({ "name": "dbus", "port": 1, "wait": 0 });
    let tried = bench.run(&service, Role::Tester, with, "/").await.ok();
    assert_eq!(tried.case("dbus is active").0, CaseStatus::Passed);
    assert_eq!(tried.failed(), ["port 1 is open"]);
    assert_eq!(tried.steps[2].1.output_tail, "nothing listens on port 1\n");

    // A file is written where the root is, with its bits and nothing left beside it.
    let plant = "mkdir -p \"/srv/it's a root/etc\" && cd /srv/it*/etc && echo '/gone none swap sw 0 0' > fstab && chmod 640 fstab";
    bench.sh(plant).await;
    let linux = bench.component("linux");
    let with = json!({ "items": ["fstab"] });
    let tried = bench
        .run(&linux, Role::Repairer, with, "/srv/it's a root")
        .await
        .ok();
    assert_eq!(tried.found().len(), 1);
    let look = "cd /srv/it*/etc && grep -c 'was: /gone' fstab && stat -c '%n %a %U' * .[!.]* 2>&1";
    let said = bench.try_sh(look).await.1;
    assert!(said.starts_with("1\nfstab 640 root\nstat: "), "{said}");

    let before = bench.sh("cat /proc/sys/kernel/random/boot_id").await;
    bench.reboot().await;
    assert_ne!(
        bench.sh("cat /proc/sys/kernel/random/boot_id").await,
        before
    );
}

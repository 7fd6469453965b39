//! Only the image's own init starts services: what is enabled in the image is up on a
//! fresh instance and after a reboot, although nobody starts it; what is not enabled stays
//! down, and the image fails its tests.

use darkroom_tests::house::{House, sandbox_can_run};
use serde_json::Value;

use crate::support::{
    HERE, Machine, build, built, call, command, image_in, of_action, param, requests,
};

/// A page that a socket unit serves with a shell, and a service that writes down the boot
/// in which it was started.
const TEMPLATE: &str = r#"
name: serving
source: { family: debian-12 }
repair: none
build:
  - run: |
      cat > /usr/local/bin/page <<'END'
      #!/bin/sh
      while read -r line && [ "${#line}" -gt 1 ]; do :; done
      boot=$(cat /run/keeper)
      printf 'HTTP/1.0 200 OK\r\nContent-Length: 45\r\n\r\nstarted %s\n' "$boot"
      END
      cat > /usr/local/bin/keeper <<'END'
      #!/bin/sh
      cat /proc/sys/kernel/random/boot_id > /run/keeper
      echo start >> /srv/starts
      exec sleep infinity
      END
      chmod 755 /usr/local/bin/page /usr/local/bin/keeper
      cd /etc/systemd/system
      printf '[Socket]\nListenStream=8080\nAccept=yes\n[Install]\nWantedBy=sockets.target\n' > page.socket
      printf '[Service]\nExecStart=/usr/local/bin/page\nStandardInput=socket\n' > page@.service
      printf '[Service]\nExecStart=/usr/local/bin/keeper\n[Install]\nWantedBy=multi-user.target\n' > keeper.service
      systemctl enable page.socket keeper.service
  - run: test ! -e /run/keeper && cat /proc/sys/kernel/random/boot_id > /srv/first
    name: enabling has started nothing
  - reboot: {}
  - run: |
      for try in $(seq 100); do systemctl is-active -q keeper && break; sleep 0.1; done
      boot=$(cat /proc/sys/kernel/random/boot_id)
      [ "$boot" != "$(cat /srv/first)" ] && [ "$boot" = "$(cat /run/keeper)" ] && [ "$(wc -l < /srv/starts)" = 1 ]
    name: another boot, and its init has started what is enabled
test:
  - uses: darkroom:service
    with: { name: keeper, enabled: true }
  - uses: darkroom:service
    with: { name: page.socket, port: 8080, http: /, contains: started }
image: { family: serving }
"#;

/// The status of each test case.
fn cases(manifest: &Value) -> Vec<(String, String)> {
    let roles = manifest["roles"].as_array().unwrap().iter();
    roles
        .flat_map(|role| role["cases"].as_array().unwrap())
        .map(|case| {
            let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
            (text("name"), text("status"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_enabled_comes_up_by_itself_at_every_boot() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let manifest = built(&house, TEMPLATE);
    let found = cases(&manifest);
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(
        found.iter().all(|(_, status)| status == "passed"),
        "{found:?}"
    );
    assert_eq!(manifest["boot"]["status"], "passed");

    // The reboot was a request, between two looks at boot ids that differ.
    let requests = requests(&house);
    assert_eq!(of_action(&requests, "RebootInstance").len(), 1);
    // On the test instance nothing was started by command.
    let instances: Vec<_> = of_action(&requests, "DeleteInstance")
        .iter()
        .map(|one| param(one, "InstanceId").to_owned())
        .collect();
    let commands = of_action(&requests, "RunCommand");
    let tested = commands
        .iter()
        .filter(|one| command(one).contains("# darkroom test/"));
    for one in tested.clone() {
        let script = command(one);
        assert!(
            !script.contains("systemctl start") && !script.contains("systemctl restart"),
            "{script}"
        );
        assert_eq!(param(one, "InstanceId.1"), instances[0]);
    }
    assert!(tested.count() >= 6);

    // So it is on an instance that nothing but its init has touched, and again after a
    // reboot of it.
    let client = house.client(0);
    let machine = Machine::boot(client.clone(), HERE, &image_in(&manifest, HERE)).await;
    let ask = "for try in $(seq 100); do systemctl is-active -q keeper page.socket && break; sleep 0.1; done
        curl -sS --noproxy '*' http://127.0.0.1:8080/; cat /proc/sys/kernel/random/boot_id
        ps -o ppid= -p $(systemctl show -P MainPID keeper)";
    let mut boots = Vec::new();
    for _ in 0..2 {
        let said = machine.sh(ask).await;
        let lines: Vec<_> = said.split_whitespace().collect();
        assert_eq!(lines, ["started", lines[2], lines[2], "1"], "{said}");
        boots.push(lines[2].to_owned());
        machine.reboot().await;
    }
    assert_ne!(boots[0], boots[1]);
    machine.delete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_enabled_stays_down_and_fails_the_test() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let template = TEMPLATE
        .replace(
            "systemctl enable page.socket keeper.service",
            "systemctl start keeper.service",
        )
        .replace("  - run: test ! -e /run/keeper && cat", "  - run: cat")
        .replace("name: page.socket, port", "wait: 0, port")
        .replace("name: keeper, enabled: true", "name: keeper, wait: 0");
    let (before, rest) = template.split_once("  - reboot").unwrap();
    let after = rest.split_once("test:\n").unwrap().1;
    let everywhere =
        "distribute: { regions: [cn-hangzhou, ap-southeast-1], accounts: ['2000000000000002'] }\n";
    let told = build(&house, &format!("{before}test:\n{after}{everywhere}")).exits(6);
    told.says(&[
        "the image has failed its tests",
        "keeper is active",
        "port 8080 is open",
    ]);
    let manifest = house.manifest();
    assert_eq!(manifest["status"], "TEST_FAILED");
    let found = cases(&manifest);
    assert!(
        found.iter().all(|(_, status)| status == "failed"),
        "{found:?}"
    );

    // Nothing was copied, shared or put in the family.
    let requests = requests(&house);
    for action in [
        "CopyImage",
        "ModifyImageSharePermission",
        "ModifyImageAttribute",
    ] {
        assert!(of_action(&requests, action).is_empty(), "{action}");
    }
    // The image is kept to be looked at: marked, and in no family.
    let client = house.client(0);
    let image = image_in(&manifest, HERE);
    let told = call(&client, HERE, "DescribeImages", &[("ImageId", &image)])
        .await
        .unwrap();
    let kept = &told["Images"]["Image"][0];
    assert_eq!(kept["ImageFamily"], "");
    assert!(
        kept["Tags"].to_string().contains("darkroom:failed"),
        "{kept}"
    );
}

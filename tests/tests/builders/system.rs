//! `services`, `users`, `sysctl`, `kernel-modules`, `certificates`,
//! `hostname-timezone-locale` and `generalize`: what makes a machine.

use darkroom_contract::CaseStatus;
use darkroom_tests::bench::Bench;
use serde_json::json;

use super::{HOSTILE, apply, passed, refusal, test, twice};

#[tokio::test(flavor = "multi_thread")]
async fn services_users_and_settings() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    services(&bench).await;
    users(&bench).await;
    kernel(&bench).await;
    certificates(&bench).await;
    names(&bench).await;
    generalize(&bench).await;
}

async fn services(bench: &Bench) {
    let word = HOSTILE.replace(['%', '$', '\\'], "");
    let unit = format!(
        "[Unit]\nDescription={word}\n[Service]\nExecStart=/bin/sleep 1d\n[Install]\nWantedBy=multi-user.target\n"
    );
    let with = json!({
        "units": { "app@.service": unit, "other.service": unit },
        "drop-ins": { "other.service/limits.conf": "[Service]\nLimitNOFILE=4321\n" },
        "init-scripts": { "app": "#!/sbin/openrc-run\n" },
        "enable": ["app@1.service", "other"], "start": ["app@1.service"],
        "mask": ["fstrim.timer"], "stop": ["missing"], "disable": ["systemd-timesyncd"],
    });
    twice(bench, "services", with.clone()).await;
    let look = "systemctl is-active app@1 other; systemctl is-enabled app@1 other fstrim.timer; systemctl show -p Description --value app@1; systemctl show -p LimitNOFILE --value other; ls /etc/init.d/app";
    let said = bench.try_sh(look).await.1;
    let expected = format!("active\ninactive\nenabled\nenabled\nmasked\n{word}\n4321\n");
    assert!(said.starts_with(&expected), "{said}");
    assert_eq!(passed(&test(bench, "services", with.clone()).await), 6);

    // Everything back, and the tester sees that it is not so any more.
    let back =
        json!({ "disable": ["app@1", "other"], "stop": ["app@1"], "unmask": ["fstrim.timer"] });
    twice(bench, "services", back).await;
    let tried = test(bench, "services", with).await;
    assert_eq!(
        tried.failed(),
        [
            "app@1.service is enabled",
            "other is enabled",
            "fstrim.timer is masked"
        ]
    );
    let failing = json!({ "units": { "bad.service": "[Service]\nExecStart=/bin/false\nType=oneshot\n" }, "start": ["bad"] });
    assert!(
        refusal(bench, "services", failing)
            .await
            .contains("bad does not start")
    );
    let missing = refusal(bench, "services", json!({ "enable": ["missing"] })).await;
    assert!(missing.contains("there is no unit missing"), "{missing}");
}

async fn users(bench: &Bench) {
    let key = format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 {HOSTILE}");
    let comment = HOSTILE.replace(':', "");
    let with = json!({
        "name": "deploy", "uid": 1234, "groups": ["staff", "builders"], "shell": "/bin/bash",
        "comment": comment,  "authorized-keys": [key, "ssh-rsa BBBB two"],
    });
    twice(bench, "users", with.clone()).await;
    let look = "getent passwd deploy; id -Gn deploy; stat -c '%a %U' ~deploy/.ssh ~deploy/.ssh/authorized_keys; cat ~deploy/.ssh/authorized_keys";
    assert_eq!(
        bench.sh(look).await,
        format!(
            "deploy:x:1234:1234:{comment}:/home/deploy:/bin/bash\ndeploy staff builders\n700 deploy\n600 deploy\n{key}\nssh-rsa BBBB two\n"
        )
    );
    assert_eq!(passed(&test(bench, "users", with.clone()).await), 4);
    twice(
        bench,
        "users",
        json!({ "name": "deploy", "shell": "/bin/sh", "lock": true }),
    )
    .await;
    twice(
        bench,
        "users",
        json!({ "name": "deploy", "authorized-keys": ["x y"], "only-these-keys": true }),
    )
    .await;
    let tried = test(bench, "users", with).await;
    assert_eq!(
        tried.failed(),
        ["deploy is there", "deploy has its authorized keys"]
    );
    assert!(
        refusal(
            bench,
            "users",
            json!({ "name": "deploy", "sudo": "ALL=(ALL) ALL" })
        )
        .await
        .contains("install the package sudo")
    );

    // A service's user, root's keys, and away with it.
    twice(bench, "users", json!({ "name": "svc", "system": true, "home": "/var/lib/svc", "shell": "/usr/sbin/nologin" })).await;
    assert_eq!(bench.try_sh("ls -d /var/lib/svc").await.0, 2);
    twice(
        bench,
        "users",
        json!({ "name": "root", "authorized-keys": ["ssh-rsa AAAA root"] }),
    )
    .await;
    let remove = json!({ "name": "deploy", "remove": true, "remove-home": true });
    twice(bench, "users", remove.clone()).await;
    assert_eq!(bench.try_sh("id deploy; ls /home/deploy").await.0, 2);
    assert_eq!(passed(&test(bench, "users", remove).await), 1);
}

async fn kernel(bench: &Bench) {
    let settings = json!({ "settings": {
        "net.ipv4.ip_local_port_range": "20000 60000", "kernel.no_such_thing": HOSTILE, "vm.swappiness": 11,
    } });
    twice(bench, "sysctl", settings).await;
    let range = "cat /proc/sys/net/ipv4/ip_local_port_range";
    assert_eq!(bench.sh(range).await, "20000\t60000\n");
    assert_eq!(
        bench.sh("cat /etc/sysctl.d/90-darkroom.conf").await,
        format!(
            "kernel.no_such_thing = {HOSTILE}\nnet.ipv4.ip_local_port_range = 20000 60000\nvm.swappiness = 11\n"
        )
    );
    twice(bench, "sysctl", json!({ "settings": {} })).await;

    let with = json!({
        "load": ["br_netfilter"], "blacklist": ["nouveau"], "forbid": ["cramfs"],
        "options": { "nf_conntrack": HOSTILE },
    });
    twice(bench, "kernel-modules", with).await;
    assert_eq!(
        bench
            .sh("cat /etc/modules-load.d/darkroom.conf /etc/modprobe.d/darkroom.conf")
            .await,
        format!(
            "br_netfilter\nblacklist nouveau\ninstall cramfs /bin/false\noptions nf_conntrack {HOSTILE}\n"
        )
    );
    twice(bench, "kernel-modules", json!({})).await;
}

async fn certificates(bench: &Bench) {
    let pem = bench
        .sh("cd /root && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out ca.pem -subj /CN=ours -days 30 2>/dev/null && rm key.pem && cat ca.pem")
        .await;
    let verify = "openssl verify -CApath /etc/ssl/certs /root/ca.pem";
    assert_ne!(bench.try_sh(verify).await.0, 0);
    twice(bench, "certificates", json!({ "trust": { "our-ca": pem } })).await;
    bench.sh(verify).await;
    let bundle = "grep -Fxc -- \"$(sed -n 2p /root/ca.pem)\" /etc/ssl/certs/ca-certificates.crt";
    assert_eq!(bench.sh(bundle).await, "1\n");
    let broken = format!("-----BEGIN CERTIFICATE-----\n{HOSTILE}\n-----END CERTIFICATE-----\n");
    let refused = refusal(bench, "certificates", json!({ "trust": { "bad": broken } })).await;
    assert!(refused.contains("openssl can't read it"), "{refused}");
    twice(bench, "certificates", json!({ "remove": ["our-ca"] })).await;
    assert_ne!(bench.try_sh(verify).await.0, 0);
}

async fn names(bench: &Bench) {
    let with = json!({ "hostname": "web-1.example.com", "timezone": "Asia/Shanghai", "locale": "C.UTF-8" });
    twice(bench, "hostname-timezone-locale", with).await;
    let look = "cat /etc/hostname; getent hosts web-1; date -d @0 +%z; cat /etc/timezone /etc/default/locale; readlink /etc/localtime";
    assert_eq!(
        bench.sh(look).await,
        "web-1.example.com\n127.0.1.1       web-1.example.com web-1\n+0800\nAsia/Shanghai\nLANG=C.UTF-8\n../usr/share/zoneinfo/Asia/Shanghai\n"
    );
    for (with, message) in [
        (
            json!({ "timezone": "Asia/Nowhere" }),
            "there is no time zone Asia/Nowhere",
        ),
        (
            json!({ "locale": "de_DE.UTF-8" }),
            "install the package locales",
        ),
    ] {
        let refused = refusal(bench, "hostname-timezone-locale", with).await;
        assert!(refused.contains(message), "{refused}");
    }
}

/// Last: it takes the machine id and the logs away.
async fn generalize(bench: &Bench) {
    bench
        .sh("mkdir -p /etc/ssh /var/lib/cloud/instances/i-1 && touch /etc/ssh/ssh_host_rsa_key /root/.bash_history /var/lib/cloud/instances/i-1/x /tmp/mine && echo x >/var/log/mine")
        .await;
    let with = json!({});
    assert!(apply(bench, "generalize", &with).await);
    // The machine goes on running, and writes its logs.
    bench
        .sh("logger hello; echo y >/var/log/mine; touch /tmp/mine")
        .await;
    assert!(!apply(bench, "generalize", &with).await);
    let look = "wc -c </etc/machine-id; wc -c </var/log/mine; ls /etc/ssh/ssh_host_rsa_key /root/.bash_history /tmp/mine /var/lib/cloud/instances/i-1 2>/dev/null; cat /root/.ssh/authorized_keys";
    assert_eq!(bench.sh(look).await, "0\n0\nssh-rsa AAAA root\n");
    assert!(apply(bench, "generalize", &json!({ "authorized-keys": true })).await);
    assert_eq!(bench.try_sh("ls /root/.ssh/authorized_keys").await.0, 2);

    // And it boots again, with what was set up.
    bench.reboot().await;
    let look = "hostname; wc -c </etc/machine-id; systemctl is-enabled dbus.socket";
    let said = bench.try_sh(look).await.1;
    assert!(said.starts_with("web-1.example.com\n33\n"), "{said}");
    let tried = test(bench, "services", json!({ "enable": ["dbus.socket"] })).await;
    assert!(
        tried
            .report
            .cases
            .iter()
            .all(|case| case.status == CaseStatus::Passed)
    );
}

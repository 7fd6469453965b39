//! Testers, each on a real instance: on a machine that is as it should be, and on one where
//! just that is broken. And none of them writes anything.

use std::collections::{BTreeMap, BTreeSet};

use darkroom_contract::{CaseStatus, Role};
use darkroom_tests::bench::{Bench, Tried};
use serde_json::{Value, json};

/// Every file that a disk holds with what a write would change. What the machine itself
/// writes while it runs is left out, and so are change times: the files of the base get
/// new ones whenever another instance begins to share them.
const LISTING: &str = r#"own=''
for path in /dev /proc /run /sys /var/log /var/lib/systemd /etc/machine-id /etc/resolv.conf; do
  own="$own -path $path -prune -o"
done
find / -xdev $own -printf '%p %s %m %U %T@\n' | LC_ALL=C sort
find /etc /root /srv /var/tmp -xdev -type f -exec sha256sum {} +"#;

async fn test(bench: &Bench, name: &str, with: Value) -> Tried {
    let component = bench.component(name);
    bench.run(&component, Role::Tester, with, "/").await.ok()
}

/// The failed cases with their messages.
fn failed(tried: &Tried) -> Vec<(&str, &str)> {
    let cases = tried.report.cases.iter();
    cases
        .filter(|case| case.status == CaseStatus::Failed)
        .map(|case| (&*case.name, &*case.message))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bench_carries_out_what_components_ask_for() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    // More output than one command brings along arrives whole and in order.
    let (code, output) = bench.try_sh("seq 1 20000; exit 3").await;
    assert_eq!((code, output.len()), (3, 108_894));
    assert!(output.starts_with("1\n2\n") && output.ends_with("\n20000\n"));

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

/// A program of the machine that says what the test wants, found before the real one.
async fn stub(bench: &Bench, name: &str, script: &str) {
    let path = format!("/usr/local/bin/{name}");
    let text = format!("cat > {path} <<'END'\n#!/bin/sh\n{script}\nEND\nchmod 755 {path}");
    bench.sh(&text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boot_tells_a_machine_that_has_come_up_from_one_that_has_not() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    let tried = test(&bench, "boot", json!({ "seconds": 60 })).await;
    assert_eq!(failed(&tried), []);
    let kernel = "the kernel reports no error";
    assert_eq!(tried.case(kernel).0, CaseStatus::Skipped);
    for case in [
        "the agent is alive",
        "the machine is up",
        "no unit has failed",
        "the boot takes at most 60 s",
        "the root file system is writable",
        "/ has 100 MiB free",
    ] {
        assert_eq!(tried.case(case).0, CaseStatus::Passed, "{case}");
    }

    // A unit that fails at every boot.
    bench
        .sh("cd /etc/systemd/system && printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n[Install]\\nWantedBy=multi-user.target\\n' > broken.service && systemctl enable -q broken")
        .await;
    bench.reboot().await;
    let tried = test(&bench, "boot", json!({})).await;
    assert_eq!(failed(&tried), [("no unit has failed", "broken.service")]);
    let with = json!({ "ignore-units": ["broken.service"] });
    assert_eq!(failed(&test(&bench, "boot", with).await), []);

    // A unit that the boot waits for, for ever.
    bench
        .sh("cd /etc/systemd/system && sed -i 's|/bin/false|/bin/sleep infinity|' broken.service")
        .await;
    bench.reboot().await;
    let tried = test(&bench, "boot", json!({ "wait": 1, "seconds": 60 })).await;
    let (status, message) = tried.case("the machine is up");
    assert_eq!(status, CaseStatus::Failed);
    assert!(
        message.starts_with("its state is starting; it waits for ")
            && message.contains("broken.service"),
        "{message}"
    );
    bench.sh("systemctl disable -q broken").await;
    bench.reboot().await;

    // More space, and a faster boot, than there is.
    let with = json!({ "free": 1_000_000_000, "folders": ["/", "/nowhere"] });
    let tried = test(&bench, "boot", with).await;
    let names: Vec<_> = failed(&tried).iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "/ has 1000000000 MiB free",
            "/nowhere has 1000000000 MiB free"
        ]
    );
    stub(
        &bench,
        "systemd-analyze",
        "echo 'Startup finished in 2s (kernel) + 3.5s (userspace) = 5.5s'",
    )
    .await;
    let tried = test(&bench, "boot", json!({ "seconds": 5 })).await;
    assert_eq!(
        failed(&tried),
        [("the boot takes at most 5 s", "it took 5.5 s")]
    );

    // A kernel of its own that complains, and a disk that went read-only.
    stub(&bench, "systemd-detect-virt", "exit 1").await;
    stub(
        &bench,
        "journalctl",
        "echo 'EXT4-fs error (device vda1)'; echo 'known noise'",
    )
    .await;
    let tried = test(&bench, "boot", json!({ "ignore-errors": ["noise"] })).await;
    assert_eq!(failed(&tried), [(kernel, "EXT4-fs error (device vda1)")]);
    let with = json!({ "kernel-errors": false, "root": "read-only" });
    let tried = test(&bench, "boot", with).await;
    assert_eq!(
        failed(&tried),
        [(
            "the root file system is read-only",
            "it is mounted for writing"
        )]
    );
}

/// A server that answers each connection with a script's output, as a socket unit.
const SERVER: &str = r#"
cat > /usr/local/bin/page <<'END'
#!/bin/sh
read -r method page rest
while read -r line && [ "${#line}" -gt 1 ]; do :; done
case $page in
    /gone) printf 'HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nno such page\n' ;;
    /moved) printf 'HTTP/1.1 302 Found\r\nLocation: /\r\nConnection: close\r\n\r\n' ;;
    *) printf 'HTTP/1.1 200 OK\r\nServer: small\r\nConnection: close\r\n\r\n%s says hello 42\n' "$method" ;;
esac
END
chmod 755 /usr/local/bin/page
cd /etc/systemd/system
printf '[Socket]\nListenStream=%s\nAccept=yes\n' 127.0.0.1:8080 > page.socket
printf '[Service]\nExecStart=/usr/local/bin/page\nStandardInput=socket\n' > page@.service
printf '[Socket]\nListenDatagram=5353\n' > quiet.socket
printf '[Service]\nExecStart=/bin/true\n' > quiet.service
systemctl daemon-reload && systemctl start page.socket quiet.socket
"#;

#[tokio::test(flavor = "multi_thread")]
async fn ports_http_and_service_tell_what_serves_from_what_does_not() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    let open = json!({ "port": 8080, "address": "127.0.0.1", "process": "systemd" });
    let quiet = json!({ "port": 5353, "protocol": "udp" });
    let with = json!({ "listening": [open, quiet], "wait": 0 });
    let before = test(&bench, "ports", with.clone()).await;
    assert_eq!(failed(&before).len(), 2, "nothing listens yet");
    bench.sh(SERVER).await;
    assert_eq!(failed(&test(&bench, "ports", with).await), []);
    let with = json!({
        "listening": [{ "port": 8080, "address": "10.0.0.1" }, { "port": 8080, "process": "nginx" }],
        "closed": [{ "port": 8080 }, { "port": 8081 }, { "port": 8080, "protocol": "udp" }],
        "only": true,
        "wait": 0,
    });
    assert_eq!(
        failed(&test(&bench, "ports", with).await),
        [
            (
                "something listens on tcp port 8080 at 10.0.0.1",
                "it listens at 127.0.0.1 only"
            ),
            (
                "nginx listens on tcp port 8080",
                "it is systemd that listens there"
            ),
            (
                "nothing listens on tcp port 8080",
                "something listens on tcp 127.0.0.1:8080"
            ),
            (
                "nothing else can be reached from outside",
                "udp [::]:5353 (systemd)"
            ),
        ]
    );

    let page = "http://127.0.0.1:8080/";
    let with = json!({
        "url": page, "expect-headers": { "Server": "small" },
        "contains": ["hello"], "lacks": ["error"], "matches": ["^GET .* [0-9]+$"],
    });
    assert_eq!(failed(&test(&bench, "http", with).await), []);
    let with = json!({
        "url": format!("{page}moved"), "redirects": 1, "method": "OPTIONS", "headers": { "X": "y" },
        "matches": ["^OPTIONS says"],
    });
    assert_eq!(failed(&test(&bench, "http", with).await), []);
    let with = json!({
        "url": format!("{page}gone"), "expect-headers": { "Server": "small" },
        "contains": ["hello"], "retries": 0,
    });
    let said = "; the body begins with \"no such page\"";
    assert_eq!(
        failed(&test(&bench, "http", with).await),
        [
            ("the status is 200", &*format!("it is 404{said}")),
            (
                "the header Server contains \"small\"",
                "the answer has no such header"
            ),
            (
                "the body contains \"hello\"",
                &*format!("it does not hold{said}")
            ),
        ]
    );
    let with = json!({ "url": "http://127.0.0.1:9/", "retries": 0 });
    let tried = test(&bench, "http", with).await;
    assert_eq!(tried.failed(), ["GET http://127.0.0.1:9/ answers"]);

    let with = json!({ "name": "page.socket", "enabled": false, "port": 8080, "http": "/", "contains": "hello" });
    assert_eq!(failed(&test(&bench, "service", with).await), []);
    bench.sh("systemctl stop page.socket").await;
    let with = json!({ "name": "page.socket", "port": 8080, "http": "/", "wait": 0 });
    assert_eq!(
        test(&bench, "service", with).await.failed(),
        [
            "page.socket is active",
            "port 8080 is open",
            "http://127.0.0.1:8080/ answers"
        ]
    );
}

/// A server of TLS with a certificate of its own.
const SECURE: &str = r"
cd /srv
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -out authority \
    -days 2 -subj /CN=site.example -addext subjectAltName=DNS:site.example 2>/dev/null
cat > /etc/systemd/system/secure.service <<'END'
[Service]
ExecStart=/usr/bin/openssl s_server -quiet -www -accept 8443 -cert /srv/authority -key /srv/key -no_tls1_3
END
systemctl daemon-reload && systemctl start secure
";

#[tokio::test(flavor = "multi_thread")]
async fn http_checks_certificates_and_versions_of_tls_and_command_what_is_said() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    bench.sh(SECURE).await;
    let secure = |more: Value| {
        let mut with = json!({
            "url": "https://site.example:8443/", "connect": "127.0.0.1", "retries": 5, "timeout": 5,
        });
        let members = more.as_object().cloned().unwrap_or_default();
        with.as_object_mut()
            .into_iter()
            .for_each(|with| with.extend(members.clone()));
        with
    };
    let trusted = json!({ "authority": "/srv/authority" });
    assert_eq!(failed(&test(&bench, "http", secure(trusted)).await), []);
    let any = json!({ "insecure": true, "tls": "1.2" });
    assert_eq!(failed(&test(&bench, "http", secure(any)).await), []);
    for (more, why) in [
        (json!({ "retries": 0 }), "certificate"),
        (
            json!({ "retries": 0, "insecure": true, "tls": "1.3" }),
            "curl: (35)",
        ),
        (
            json!({ "retries": 0, "authority": "/srv/authority", "url": "https://other.example:8443/" }),
            "other.example",
        ),
    ] {
        let tried = test(&bench, "http", secure(more)).await;
        assert_eq!(failed(&tried).len(), 1, "{tried:#?}");
        assert!(failed(&tried)[0].1.contains(why), "{:?}", failed(&tried));
    }

    let with = json!({
        "run": "printf '%s in %s as %s' \"$WORD\" \"$PWD\" \"$(id -un)\"; exit 7",
        "name": "it says who it is", "user": "nobody", "directory": "/srv",
        "environment": { "WORD": "it's $(here)" }, "exit-codes": [7],
        "contains": ["it's $(here) in /srv"], "lacks": ["root"], "matches": ["as nobody$"],
    });
    let tried = test(&bench, "command", with).await;
    assert_eq!(tried.case("it says who it is").0, CaseStatus::Passed);
    for (with, message) in [
        (
            json!({ "run": "echo no; exit 2" }),
            "it exited with 2, not with 0; it said: no",
        ),
        (
            json!({ "run": "echo no", "contains": ["yes"] }),
            "its output does not contain \"yes\"; it said: no",
        ),
        (
            json!({ "run": "echo no", "matches": ["^y"] }),
            "its output does not match /^y/; it said: no",
        ),
    ] {
        let tried = test(&bench, "command", with).await;
        assert_eq!(failed(&tried)[0].1, message);
    }
}

/// Plants that no image should hold: the case that each fails, and the file that is named.
/// Old times make of what is planted now a part of the image. No plant is a real secret,
/// and none stands here as a scanner would find it.
const PLANTS: [(&str, &str, &str); 19] = [
    (
        "no private key is left",
        "/srv/app/tls.key",
        "mkdir -p /srv/app; openssl genpkey -algorithm ed25519 > /srv/app/tls.key",
    ),
    (
        "no private key is left",
        "/root/.ssh/id_rsa",
        "mkdir -p /root/.ssh; openssl genrsa -traditional 512 > /root/.ssh/id_rsa 2>/dev/null",
    ),
    (
        "no access key or token is left",
        "/etc/app.conf",
        "printf 'id = %s%s\\n' AKIA IOSFODNN7EXAMPLE > /etc/app.conf",
    ),
    (
        "no access key or token is left",
        "/opt/deploy.sh",
        "printf 'key=%s%s\\n' LTAI 5tExampleExample > /opt/deploy.sh",
    ),
    (
        "no access key or token is left",
        "/home/it/note",
        "mkdir -p /home/it; printf 'ghp_%036d\\n' 7 > /home/it/note",
    ),
    (
        "no password is set",
        "/etc/shadow: root",
        "usermod -p '$6$abc$def' root",
    ),
    (
        "nobody's key may log in",
        "/root/.ssh/authorized_keys",
        "mkdir -p /root/.ssh; echo 'ssh-ed25519 AAAA me' > /root/.ssh/authorized_keys; touch -d '3 days ago' /root/.ssh/authorized_keys",
    ),
    (
        "no credentials are left in a home",
        "/root/.aws/credentials",
        "mkdir -p /root/.aws; echo '[default]' > /root/.aws/credentials",
    ),
    (
        "no credentials are left in a home",
        "/root/.netrc",
        "echo 'machine a login b' > /root/.netrc",
    ),
    (
        "no credentials are left in a home",
        "/home/it/.git-credentials",
        "echo https://a:b@c > /home/it/.git-credentials",
    ),
    (
        "no credentials are left in a home",
        "/root/.docker/config.json",
        "mkdir -p /root/.docker; echo '{\"auths\":{\"a\":{\"auth\": \"eA==\"}}}' > /root/.docker/config.json",
    ),
    (
        "no credentials are left in a home",
        "/root/.aliyun/config.json",
        "mkdir -p /root/.aliyun; echo '{\"access_key_secret\": \"x\"}' > /root/.aliyun/config.json",
    ),
    (
        "no history is left",
        "/root/.bash_history",
        "echo ls > /root/.bash_history",
    ),
    (
        "no history is left",
        "/home/it/.mysql_history",
        "echo select > /home/it/.mysql_history",
    ),
    (
        "no start-up file sets a secret variable",
        "/root/.bashrc",
        "echo 'export GITHUB_TOKEN=abc' >> /root/.bashrc",
    ),
    (
        "no start-up file sets a secret variable",
        "/etc/environment",
        "echo 'DB_PASSWORD=\"abc\"' >> /etc/environment",
    ),
    (
        "no host key is older than the boot",
        "/etc/ssh/ssh_host_rsa_key",
        "mkdir -p /etc/ssh; echo x > /etc/ssh/ssh_host_rsa_key; touch -d '3 days ago' /etc/ssh/ssh_host_rsa_key",
    ),
    (
        "the machine's id is its own",
        "/etc/machine-id",
        "touch -d '3 days ago' /etc/machine-id",
    ),
    (
        "nothing of the build is left",
        "/var/lib/darkroom/run/0/log",
        "mkdir -p /var/lib/darkroom/run/0; echo x > /var/lib/darkroom/run/0/log; touch -d '3 days ago' /var/lib/darkroom/run/0/log",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_secrets_finds_each_kind_and_names_the_file_but_not_the_secret() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    let clean = test(&bench, "no-secrets", json!({})).await;
    assert_eq!(failed(&clean), []);
    let plants: Vec<_> = PLANTS.iter().map(|(_, _, plant)| *plant).collect();
    bench.sh(&format!("set -e\n{}", plants.join("\n"))).await;
    let tried = test(&bench, "no-secrets", json!({})).await;
    let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (case, find, _) in PLANTS {
        wanted.entry(case).or_default().insert(find);
    }
    let found = failed(&tried).into_iter();
    let found: BTreeMap<_, BTreeSet<_>> = found
        .map(|(case, message)| (case, message.split(", ").collect()))
        .collect();
    assert_eq!(found, wanted);

    // Files that may be there don't count, and a machine without an id is another fault.
    let files = PLANTS.map(|(_, find, _)| find.split_once(": ").map_or(find, |(file, _)| file));
    let tried = test(&bench, "no-secrets", json!({ "allow": files })).await;
    assert_eq!(failed(&tried), []);
    bench.sh(": > /etc/machine-id").await;
    let with = json!({ "allow": files.iter().filter(|file| **file != "/etc/machine-id").collect::<Vec<_>>() });
    let tried = test(&bench, "no-secrets", with).await;
    assert_eq!(
        failed(&tried),
        [("the machine has an id", "/etc/machine-id")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tester_writes_anything() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    bench.sh(SERVER).await;
    let testers = [
        ("boot", json!({})),
        ("ports", json!({ "only": true, "closed": [{ "port": 1 }] })),
        ("http", json!({ "url": "http://127.0.0.1:8080/" })),
        (
            "service",
            json!({ "name": "page.socket", "port": 8080, "http": "/" }),
        ),
        ("command", json!({ "run": "true" })),
        ("no-secrets", json!({})),
    ];
    let before = bench.sh(LISTING).await;
    for (name, with) in testers {
        let tried = test(&bench, name, with).await;
        assert!(!tried.report.cases.is_empty(), "{name}");
    }
    let after = bench.sh(LISTING).await;
    let (was, is): (BTreeSet<_>, BTreeSet<_>) = (before.lines().collect(), after.lines().collect());
    assert!(was.len() > 5000, "{before}");
    let written: Vec<_> = was.symmetric_difference(&is).take(9).collect();
    assert_eq!(written, [&""; 0]);
}

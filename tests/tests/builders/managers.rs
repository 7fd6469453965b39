//! `packages` with the real dnf and zypper, and apt, users and locales from the network:
//! the long tier. The managers are Debian's own packages of them; a small repository of
//! RPM packages lies on the instance, and its os-release says that it is another family.

use darkroom_tests::bench::Bench;
use serde_json::{Value, json};

use super::{apply, passed, refusal, test, twice};

/// Makes `/srv/rpm/one` (tool-one 1.0, tool-two, tool-keep) and `/srv/rpm/two` (tool-one 2.0).
///
/// Debian keeps rpm's database in a home, and gives dnf a repository that it never fills.
const REPOSITORIES: &str = r#"set -e
mkdir -p /etc/rpm; echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros
if [ -e /etc/dnf/plugins/local.conf ]; then sed -i 's/^enabled.*/enabled = false/' /etc/dnf/plugins/local.conf; fi
cd /srv
make() {
    printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%s\n%%description\nx\n%%files\n' "$2" "$3" "$4" >"$2.spec"
    rpmbuild -bb --define '_topdir /srv/build' --define '_rpmdir /srv/rpm/'"$1" "$2.spec" >/dev/null 2>&1
}
make one tool-one 1.0 ''
make one tool-keep 1.0 ''
make one tool-two 1.5 'Requires: tool-one
Provides: tool-virtual'
make two tool-one 2.0 ''
createrepo_c -q /srv/rpm/one
createrepo_c -q /srv/rpm/two"#;

/// An instance with a way out, or none where the long tier is not asked for.
#[expect(clippy::print_stdout, reason = "a test that does not run says so")]
async fn bench(name: &str, packages: &[&str]) -> Option<Bench> {
    if std::env::var_os("DARKROOM_LONG").is_none() {
        println!("long tier: {name}");
        return None;
    }
    let bench = Bench::boot_with(10).await?;
    twice(
        &bench,
        "packages",
        json!({ "install": packages, "recommends": false }),
    )
    .await;
    Some(bench)
}

/// The same life for every manager of RPM packages.
async fn life(bench: &Bench, family: &str) {
    bench.sh(REPOSITORIES).await;
    bench
        .sh(&format!(
            "rm -f /etc/os-release; echo ID={family} >/etc/os-release"
        ))
        .await;
    let repository = |name: &str| json!({ "name": name, "url": format!("file:///srv/rpm/{name}"), "verify": false });
    let with = json!({
        "repositories": [repository("one"), repository("two")],
        "install": ["tool-one=1.0", "tool-two", "tool-keep"], "hold": ["tool-one"], "upgrade": true,
    });
    twice(bench, "packages", with.clone()).await;
    assert_eq!(
        bench.sh("rpm -qa | sort").await,
        "tool-keep-1.0-1.noarch\ntool-one-1.0-1.noarch\ntool-two-1.5-1.noarch\n"
    );
    assert_eq!(passed(&test(bench, "packages", with).await), 4);
    let virtual_one = json!({ "install": ["tool-virtual"] });
    assert_eq!(passed(&test(bench, "packages", virtual_one).await), 1);
    let unhold = json!({ "unhold": ["tool-one"], "upgrade": true });
    twice(bench, "packages", unhold).await;
    assert!(bench.sh("rpm -qa").await.contains("tool-one-2.0-1"));
    // Back to the older version.
    twice(bench, "packages", json!({ "install": ["tool-one=1.0"] })).await;
    let missing = refusal(bench, "packages", json!({ "install": ["tool-none"] })).await;
    assert!(missing.contains("tool-none"), "{missing}");
    let away = json!({ "remove": ["tool-one", "tool-two"], "remove-repositories": ["one", "two"] });
    twice(bench, "packages", away).await;
    // rpm of Debian can't say of an empty database that it is one to zypper.
    assert_eq!(bench.sh("rpm -qa").await, "tool-keep-1.0-1.noarch\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn dnf_serves_red_hats_family() {
    let packages = ["dnf", "rpm", "createrepo-c", "dnf-plugins-core"];
    let Some(bench) = bench("dnf", &packages).await else {
        return;
    };
    // Debian's plugins of dnf hold packages, as those of Red Hat's family do.
    bench.sh("dnf -q versionlock list").await;
    life(&bench, "rocky").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zypper_serves_suse() {
    let Some(bench) = bench("zypper", &["zypper", "rpm", "createrepo-c"]).await else {
        return;
    };
    life(&bench, "opensuse-leap").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sudo_locales_and_keys_of_repositories() {
    let packages = [
        "sudo",
        "locales",
        "openssh-server",
        "gpg",
        "gpg-agent",
        "xz-utils",
        "unzip",
    ];
    let Some(bench) = bench("sudo", &packages).await else {
        return;
    };
    let with = json!({ "name": "deploy", "sudo": "ALL=(ALL:ALL) NOPASSWD: ALL" });
    twice(&bench, "users", with.clone()).await;
    assert_eq!(
        bench
            .sh("runuser -u deploy -- sudo -n id -un 2>/dev/null")
            .await,
        "root\n"
    );
    assert_eq!(passed(&test(&bench, "users", with).await), 2);
    let broken = json!({ "name": "deploy", "sudo": "ALL=(ALL NOPASSWD ALL" });
    assert!(
        refusal(&bench, "users", broken)
            .await
            .contains("visudo refuses")
    );
    bench
        .sh("runuser -u deploy -- sudo -n true 2>/dev/null")
        .await;
    twice(&bench, "users", json!({ "name": "deploy", "sudo": "" })).await;

    let with = json!({ "locale": "de_DE.UTF-8", "locales": ["en_US.UTF-8"] });
    twice(&bench, "hostname-timezone-locale", with).await;
    assert_eq!(
        bench.sh("LC_ALL=de_DE.UTF-8 locale -k decimal_point").await,
        "decimal_point=\",\"\n"
    );

    signed(&bench).await;

    // sshd has no keys in the image, and has some after a boot.
    assert!(apply(&bench, "generalize", &json!({})).await);
    assert_eq!(bench.try_sh("ls /etc/ssh/ssh_host_*").await.0, 2);
    bench.reboot().await;
    let wait = "for i in $(seq 100); do systemctl is-active -q ssh && exit 0; sleep 0.1; done; systemctl status ssh; exit 1";
    bench.sh(wait).await;
    bench.sh("ls /etc/ssh/ssh_host_ed25519_key").await;
}

/// A repository whose key counts for it alone.
async fn signed(bench: &Bench) {
    let key = bench
        .sh(r#"set -e
            export GNUPGHOME=/root/gnupg; mkdir -m 700 -p $GNUPGHOME
            gpg --batch --quiet --passphrase '' --quick-generate-key me@example.com ed25519 sign never 2>/dev/null
            mkdir -p /srv/make/DEBIAN /srv/signed && cd /srv
            printf 'Package: tool-signed\nVersion: 1\nArchitecture: all\nMaintainer: me\nDescription: x\n' >make/DEBIAN/control
            dpkg-deb -b make signed/tool.deb >/dev/null && cd signed
            { dpkg-deb -f tool.deb; printf 'Filename: ./tool.deb\nSize: %s\nSHA256: %s\n' "$(stat -c %s tool.deb)" "$(sha256sum <tool.deb | cut -c -64)"; } >Packages
            printf 'SHA256:\n %s %s Packages\n' "$(sha256sum <Packages | cut -c -64)" "$(stat -c %s Packages)" >Release
            gpg --batch --clearsign -o InRelease Release
            gpg --armor --export me@example.com"#)
        .await;
    let with = |key: &str| -> Value {
        let repository = json!({ "name": "signed", "url": "file:/srv/signed", "key": key });
        json!({ "repositories": [repository], "install": ["tool-signed"] })
    };
    let other = key.replacen("\nm", "\nn", 1);
    assert_ne!(other, key);
    let refused = refusal(bench, "packages", with(&other)).await;
    assert!(refused.contains("InRelease"), "{refused}");
    twice(bench, "packages", with(&key)).await;
}

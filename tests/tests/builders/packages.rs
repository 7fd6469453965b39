//! `packages`: apt for real, from a repository that the instance holds itself.

use darkroom_tests::bench::Bench;
use serde_json::json;

use super::{passed, refusal, test, twice};

/// Makes a repository of tiny packages in `/srv/repository`, and takes the base's own
/// sources away, which are out of reach.
const REPOSITORY: &str = r#"set -e
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
mkdir -p /srv/repository /srv/make
cd /srv/make
make() {
    rm -rf p; mkdir -p p/DEBIAN "p/usr/share/$1"
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: me <me@example.com>\nDescription: %s\n%s' "$1" "$2" "$1" "$3" >p/DEBIAN/control
    echo "$2" >"p/usr/share/$1/version"
    echo "$1" >"p/etc-$1.conf"; mkdir -p p/etc; mv "p/etc-$1.conf" "p/etc/$1.conf"; echo "/etc/$1.conf" >p/DEBIAN/conffiles
    dpkg-deb --root-owner-group -b p "/srv/repository/$1_$2.deb" >/dev/null
}
make tool-one 1.0 ''
make tool-one 2.0 ''
make tool-two 1:1.5-1~rc1 'Depends: tool-lib
Recommends: tool-extra
Provides: tool-virtual
'
make tool-lib 1.0 ''
make tool-extra 1.0 ''
cd /srv/repository
for deb in *.deb; do
    dpkg-deb -f "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum <"$deb" | cut -c -64)"
done >Packages"#;

#[tokio::test(flavor = "multi_thread")]
async fn apt_does_everything_once() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    bench.sh(REPOSITORY).await;
    let versions =
        "dpkg-query -W -f '${Package} ${Version}\\n' 'tool-*' | grep ' [0-9]' | LC_ALL=C sort";
    let repository = json!([{ "name": "here", "url": "file:/srv/repository", "verify": false }]);
    let with = json!({
        "repositories": repository, "install": ["tool-one=1.0", "tool-two"], "hold": ["tool-one"],
        "recommends": false, "upgrade": true,
    });
    twice(&bench, "packages", with.clone()).await;
    assert_eq!(
        bench.sh(versions).await,
        "tool-lib 1.0\ntool-one 1.0\ntool-two 1:1.5-1~rc1\n"
    );
    assert_eq!(passed(&test(&bench, "packages", with.clone()).await), 3);
    // A virtual package is there with what provides it; a held one stays.
    let virtual_one = json!({ "install": ["tool-virtual"] });
    assert_eq!(passed(&test(&bench, "packages", virtual_one).await), 1);
    twice(
        &bench,
        "packages",
        json!({ "unhold": ["tool-one"], "upgrade": true }),
    )
    .await;
    assert!(bench.sh(versions).await.contains("tool-one 2.0"));
    let tried = test(&bench, "packages", with).await;
    assert_eq!(
        tried.failed(),
        ["tool-one is installed in version 1.0", "tool-one is held"]
    );
    // An older version, and a configuration that somebody has changed is kept.
    bench.sh("echo mine >/etc/tool-one.conf").await;
    twice(
        &bench,
        "packages",
        json!({ "install": ["tool-one=1.0", "tool-extra"] }),
    )
    .await;
    assert_eq!(bench.sh("cat /etc/tool-one.conf").await, "mine\n");
    let remove = json!({ "remove": ["tool-one", "tool-two"], "remove-repositories": ["here"] });
    twice(&bench, "packages", remove.clone()).await;
    assert_eq!(passed(&test(&bench, "packages", remove).await), 2);
    assert_eq!(
        bench
            .try_sh("ls /etc/tool-one.conf /etc/apt/sources.list.d/here.sources")
            .await
            .0,
        2
    );
    let missing = refusal(&bench, "packages", json!({ "install": ["tool-none"] })).await;
    assert!(
        missing.contains("Unable to locate package tool-none"),
        "{missing}"
    );
}

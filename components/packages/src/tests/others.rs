//! dnf, yum, zypper and apk.

use super::stubs::Stubs;
use crate::Packages;
use darkroom::Json;
use darkroom::testing::Machine;

fn repository(members: &[(&str, &str)]) -> Json {
    let members = members
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Json::from(*value)));
    Json::List(vec![Json::Object(members.collect())])
}

/// What every manager must do: install, pin, hold, upgrade, remove, each once. `logged`
/// are the commands of the first application.
fn life(id: &str, installed: &str, pin: &str, logged: &[&str]) {
    let stubs = Stubs::new(id, installed);
    let machine = |machine: Machine| {
        machine
            .argument("upgrade", true)
            .argument("remove", ["exim4", "absent"])
            .argument("install", ["nginx", "curl", pin])
            .argument("hold", ["curl", "git"])
            .argument("recommends", false)
    };
    assert!(stubs.carry_out(&machine(stubs.machine())), "{id}");
    let log = stubs.log();
    assert_eq!(log.lines().collect::<Vec<_>>(), logged, "{id}");
    assert!(
        !stubs.carry_out(&machine(stubs.machine())),
        "{id}: {}",
        stubs.log()
    );
    let tested = machine(stubs.machine()).test::<Packages>();
    assert_eq!(
        stubs.run(&tested, "look at the packages").output,
        format!("yes nginx\nyes curl\nyes {pin}\nno exim4\nno absent\nheld curl\nheld git\n")
    );
    let unhold = stubs.machine().argument("unhold", ["curl"]);
    assert!(stubs.carry_out(&unhold));
    assert!(!stubs.carry_out(&unhold));
    assert!(!stubs.carry_out(&stubs.machine().argument("upgrade", true)));
}

#[test]
fn dnf_does_everything_once() {
    life(
        "alinux",
        "exim4 1.0\ngit 1.0\n",
        "git=1.0",
        &[
            "dnf makecache",
            "dnf upgrade",
            "dnf remove exim4",
            "dnf install nginx curl git-1.0",
            "dnf downgrade git-1.0",
            "dnf install python3-dnf-plugin-versionlock",
            "dnf versionlock add curl",
            "dnf versionlock add git",
        ],
    );
}

#[test]
fn yum_does_everything_once() {
    life(
        "centos",
        "exim4 1.0\ngit 1.0\n",
        "git=1.0",
        &[
            "yum makecache fast",
            "yum upgrade",
            "yum remove exim4",
            "yum install nginx curl git-1.0",
            "yum downgrade git-1.0",
            "yum install yum-plugin-versionlock",
            "yum versionlock add curl",
            "yum versionlock add git",
        ],
    );
}

#[test]
fn zypper_does_everything_once() {
    life(
        "sles",
        "exim4 1.0\ngit 1.0\n",
        "git=1.0",
        &[
            "zypper refresh",
            "zypper update --auto-agree-with-licenses",
            "zypper remove -- exim4",
            "zypper install --auto-agree-with-licenses --no-recommends --oldpackage -- nginx curl git=1.0",
            "zypper addlock -- curl",
            "zypper addlock -- git",
        ],
    );
}

#[test]
fn apk_does_everything_once() {
    life(
        "alpine",
        "exim4 1.0-r0\ngit 1.0-r0\n",
        "git=1.0-r0",
        &[
            "apk update",
            "apk upgrade",
            "apk del exim4",
            "apk add nginx curl git=1.0-r0",
            "apk add curl=2.0-r0",
        ],
    );
}

#[test]
fn architectures_are_written_as_rpm_does() {
    for (id, logged) in [
        ("rocky", "dnf install glibc.i686 curl-1.0.x86_64\n"),
        (
            "sles",
            "zypper install --auto-agree-with-licenses --recommends --oldpackage -- glibc.i686 curl.x86_64=1.0\n",
        ),
    ] {
        let stubs = Stubs::new(id, "");
        let packages = ["glibc:i686", "curl:x86_64=1.0"];
        let run = stubs
            .machine()
            .argument("install", packages)
            .build::<Packages>();
        // The stand-in for rpm knows no architectures, so the end of it says nothing.
        let _outcome = stubs.run(&run, "install glibc:i686, curl:x86_64=1.0");
        assert!(stubs.log().contains(logged));
    }
}

#[test]
fn a_mirror_in_trouble_is_asked_again() {
    for (id, trouble) in [
        (
            "rocky",
            "Curl error (28): Timeout was reached for https://mirror/repomd.xml\n",
        ),
        (
            "sles",
            "System management is locked by the application with pid 7 (zypper).\n",
        ),
        (
            "alpine",
            "ERROR: unable to select: temporary error (try again later)\n",
        ),
    ] {
        let stubs = Stubs::new(id, "");
        stubs.write("trouble", trouble);
        assert!(
            stubs.carry_out(&stubs.machine().argument("install", ["nginx"])),
            "{id}"
        );
        assert!(stubs.log().contains("sleep "), "{id}");
    }
}

#[test]
fn repositories_have_the_form_of_their_manager() {
    let key = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let of = |key: &str| {
        repository(&[
            ("name", "ours"),
            ("url", "https://example.com/$releasever/$basearch"),
            ("key", key),
            ("key-name", "ours@example.com-1.rsa.pub"),
        ])
    };
    for (id, file, keyring, text) in [
        (
            "rocky",
            "etc/yum.repos.d/ours.repo",
            "etc/pki/rpm-gpg/RPM-GPG-KEY-ours",
            "[ours]\nname=ours\nbaseurl=https://example.com/$releasever/$basearch\nenabled=1\n\
             gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-ours\n",
        ),
        (
            "sles",
            "etc/zypp/repos.d/ours.repo",
            "etc/pki/rpm-gpg/RPM-GPG-KEY-ours",
            "[ours]\nname=ours\nbaseurl=https://example.com/$releasever/$basearch\nenabled=1\n\
             gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-ours\nautorefresh=1\ntype=rpm-md\n",
        ),
        (
            "alpine",
            "etc/apk/repositories.d/ours.list",
            "etc/apk/keys/ours@example.com-1.rsa.pub",
            "https://example.com/$releasever/$basearch\n",
        ),
    ] {
        let stubs = Stubs::new(id, "");
        let machine = stubs.machine().argument("repositories", of(key));
        assert!(stubs.carry_out(&machine), "{id}");
        assert_eq!(stubs.read(file), text, "{id}");
        assert_eq!(stubs.read(keyring), format!("{key}\n"), "{id}");
        if id != "alpine" {
            assert!(stubs.log().starts_with("rpm --import "));
        }
        assert!(!stubs.carry_out(&machine), "{id}: {}", stubs.log());
        let away = stubs.machine().argument("remove-repositories", ["ours"]);
        assert!(stubs.carry_out(&away) && !stubs.carry_out(&away));
        assert_eq!(stubs.read(file), "");
    }

    let open = Json::List(vec![Json::object([
        ("name", "ours".into()),
        ("url", "https://example.com".into()),
        ("verify", false.into()),
    ])]);
    let stubs = Stubs::new("rocky", "");
    assert!(stubs.carry_out(&stubs.machine().argument("repositories", open.clone())));
    assert!(
        stubs
            .read("etc/yum.repos.d/ours.repo")
            .ends_with("\ngpgcheck=0\n")
    );
    let stubs = Stubs::new("alpine", "");
    let run = stubs
        .machine()
        .argument("repositories", open)
        .build::<Packages>();
    let refused = stubs.run(&run, "set up the repository ours");
    assert!(refused.exit_code == 1 && refused.output.contains("without its key"));
}

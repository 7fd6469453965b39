//! Stand-ins for machines: a root file system in a folder, and programs that keep the
//! installed packages in the file `installed`, one `name version` a line, and what they
//! were told in `log`.

use crate::Packages;
use darkroom::testing::{Machine, Outcome, Run};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

/// What every stand-in begins with. A package named `broken` can't be installed, and the
/// file `trouble` holds what the next command says and fails with.
const COMMON: &str = r#"#!/bin/sh
touch "$HOME/installed"
trouble() {
    if [ -e "$HOME/trouble" ]; then cat "$HOME/trouble"; rm "$HOME/trouble"; exit "${1:-100}"; fi
}
has() { awk -v n="$1" -v v="$2" '$1 == n && (v == "" || $2 == v) { f = 1 } END { exit !f }' "$HOME/installed"; }
put() { drop "$1"; [ "$1" = broken ] || echo "$1 ${2:-2.0}" >>"$HOME/installed"; }
drop() { awk -v n="$1" '$1 != n' "$HOME/installed" >"$HOME/rest"; mv "$HOME/rest" "$HOME/installed"; }
held() { cat "$HOME/held" "$HOME/plugin" "$HOME/etc/zypp/locks" 2>/dev/null | grep -Eq "^($1|$1-0:.*|solvable_name: $1)\$" || grep -q "^$1=" "$HOME/etc/apk/world" 2>/dev/null; }
renew() { for one in $(awk '$2 ~ /^1/ { print $1 }' "$HOME/installed"); do held "$one" || put "$one" "$1"; done; }
log() { printf '%s %s\n' "${0##*/}" "$*" >>"$HOME/log"; }
"#;

/// What the package managers share: options go, then the verb.
pub(super) const DPKG_QUERY: &str = r#"
case $2 in *Provides*) cat "$HOME/provided" 2>/dev/null; exit 0 ;; esac
if [ $# = 1 ]; then cat "$HOME/installed"; exit 0; fi
shift 3
has "$1" || { echo "no packages found matching $1" >&2; exit 1; }
awk -v n="$1" '$1 == n { print "installed " $2; print "installed" }' "$HOME/installed"
"#;
pub(super) const APT_GET: &str = r#"
while case $1 in -o) shift ;; -*) ;; *) false ;; esac; do shift; done
log "$@"
trouble
verb=$1; shift
while case ${1:-x} in --) shift; false ;; -o) shift; shift ;; -*) shift ;; *) false ;; esac; do :; done
case $verb in
    install) for one in "$@"; do case $one in *=*) put "${one%%=*}" "${one#*=}" ;; *) put "$one" ;; esac; done ;;
    purge) for one in "$@"; do drop "$one"; done ;;
    upgrade) renew 2.0 ;;
esac
"#;
const APT_MARK: &str = r#"
touch "$HOME/held"
case $1 in
    showhold) cat "$HOME/held" ;;
    hold) log "$@"; echo "$3" >>"$HOME/held" ;;
    unhold) log "$@"; : >"$HOME/held" ;;
esac
"#;
const DPKG: &str = "rm -r \"$HOME/var/lib/dpkg/updates\"; log \"$@\"\n";
const RPM: &str = r#"
case $1 in
    -qa) cat "$HOME/installed"; exit ;;
    --import) log "$@"; exit ;;
esac
case $2 in
    --whatprovides) has "$3" ;;
    --qf) has "$4" || exit 1; v=$(awk -v n="$4" '$1 == n { print $2 }' "$HOME/installed"); printf '%s\n' "$3" |
        sed 's/\\n/\n/g' | sed "s/%{NAME}/$4/g; s/%{VERSION}/$v/g; s/%{RELEASE}/1.el9/g; s/%{EPOCHNUM}/0/g" ;;
    *) has "$2" ;;
esac
"#;
/// dnf and yum; `name-version` installs a version, and an older one is none of
/// `install`'s business.
const DNF: &str = r#"
while case $1 in -*) ;; *) false ;; esac; do shift; done
case "$1 $2" in 'versionlock list') [ -e "$HOME/plugin" ] && cat "$HOME/plugin"; exit ;; esac
log "$@"
trouble
verb=$1; shift
case $verb in
    install) for one in "$@"; do case $one in
        *versionlock) : >"$HOME/plugin" ;;
        *-[0-9]*) put "${one%-*}" 2.0 ;;
        *) put "$one" ;;
        esac; done ;;
    downgrade) for one in "$@"; do put "${one%-*}" "${one##*-}"; done ;;
    remove) for one in "$@"; do drop "$one"; done ;;
    upgrade) renew 2.0 ;;
    versionlock) case $1 in add) v=$(awk -v n="$2" '$1 == n { print $2 }' "$HOME/installed"); echo "$2-0:$v-1.el9.*" >>"$HOME/plugin" ;; delete) grep -v "^$2-" "$HOME/plugin" >"$HOME/rest"; mv "$HOME/rest" "$HOME/plugin" ;; esac ;;
esac
"#;
const ZYPPER: &str = r#"
[ "$ZYPP_LOCK_TIMEOUT" = 600 ] || exit 1
while case $1 in -*) ;; *) false ;; esac; do shift; done
log "$@"
trouble 7
verb=$1; shift
while case ${1:-x} in --) shift; false ;; -*) shift ;; *) false ;; esac; do :; done
mkdir -p "$HOME/etc/zypp"
case $verb in
    install) for one in "$@"; do case $one in *=*) put "${one%%=*}" "${one#*=}" ;; *) put "$one" ;; esac; done ;;
    remove) for one in "$@"; do drop "$one"; done ;;
    update) renew 2.0; exit 102 ;;
    addlock) echo "solvable_name: $1" >>"$HOME/etc/zypp/locks" ;;
    removelock) grep -v " $1\$" "$HOME/etc/zypp/locks" >"$HOME/rest"; mv "$HOME/rest" "$HOME/etc/zypp/locks" ;;
esac
"#;
const APK: &str = r#"
while case $1 in --wait) shift ;; -*) ;; *) false ;; esac; do shift; done
case "$1 $2" in
    'info -e') case $3 in *=*) has "${3%%=*}" "${3#*=}" ;; *) has "$3" ;; esac; exit ;;
    'info -v') sed 's/ /-/' "$HOME/installed"; exit ;;
esac
log "$@"
trouble
verb=$1; shift
world=$HOME/etc/apk/world
touch "$world"
case $verb in
    add) for one in "$@"; do
        name=${one%%=*}
        awk -v n="$name" '{ split($0, p, "="); if (p[1] != n) print }' "$world" >"$HOME/w"; mv "$HOME/w" "$world"
        echo "$one" >>"$world"
        case $one in *=*) put "$name" "${one#*=}" ;; *) has "$one" || put "$one" 2.0-r0 ;; esac
        done ;;
    del) for one in "$@"; do drop "$one"; done ;;
    upgrade) renew 2.0-r0 ;;
esac
"#;

/// A stand-in for a machine.
pub(super) struct Stubs {
    pub(super) folder: TempDir,
}

impl Stubs {
    /// A machine of this os-release ID with these installed packages, `name version` a
    /// line.
    pub(super) fn new(id: &str, installed: &str) -> Self {
        let stubs = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for folder in [
            "etc/apt",
            "etc/apk/repositories.d",
            "etc/yum.repos.d",
            "bin",
        ] {
            fs::create_dir_all(stubs.folder.path().join(folder)).unwrap();
        }
        stubs.write("etc/os-release", &format!("ID={id}\n"));
        stubs.write("installed", installed);
        let programs: &[(&str, &str)] = match id {
            "debian" => &[
                ("dpkg-query", DPKG_QUERY),
                ("apt-get", APT_GET),
                ("apt-mark", APT_MARK),
                ("dpkg", DPKG),
            ],
            "alpine" => &[("apk", APK)],
            "sles" => &[("zypper", ZYPPER), ("rpm", RPM)],
            "centos" => &[("yum", DNF), ("rpm", RPM)],
            _ => &[("dnf", DNF), ("rpm", RPM)],
        };
        for (name, text) in programs.iter().chain(&[("sleep", "log \"$@\"\n")]) {
            stubs.program(name, text);
        }
        stubs
    }

    pub(super) fn program(&self, name: &str, text: &str) {
        let path = self.folder.path().join("bin").join(name);
        fs::write(&path, format!("{COMMON}{text}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(super) fn machine(&self) -> Machine {
        Machine::debian().root(self.folder.path().to_str().unwrap())
    }

    pub(super) fn run(&self, run: &Run, step: &str) -> Outcome {
        let programs = self.folder.path().join("bin");
        run.step(step).run(self.folder.path(), &programs)
    }

    /// Carries all steps of a builder out; whether one changed something.
    pub(super) fn carry_out(&self, machine: &Machine) -> bool {
        let run = machine.build::<Packages>();
        run.steps.iter().fold(false, |changed, step| {
            let outcome = self.run(&run, &step.name);
            assert_eq!(outcome.exit_code, 0, "{}: {}", step.name, outcome.output);
            changed || outcome.output.ends_with("changed: yes\n")
        })
    }

    pub(super) fn write(&self, file: &str, text: &str) {
        let path = self.folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }

    /// What was logged since the last look.
    pub(super) fn log(&self) -> String {
        let log = self.read("log");
        self.write("log", "");
        log
    }
}

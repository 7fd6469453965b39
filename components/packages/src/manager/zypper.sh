# SUSE. zypper waits for its lock if it is told to; 100 to 103 and 107 are no failures:
# there are patches, a reboot is advised, zypper itself was renewed, a script of a
# package complained.
zypper() {
    # The function stands in an `&&` list, where a failure does not end the script.
    ZYPP_LOCK_TIMEOUT=600 command zypper --non-interactive "$@" </dev/null
    zypper_code=$?
    case $zypper_code in
        100 | 101 | 102 | 103 | 107) return 0 ;;
    esac
    return "$zypper_code"
}

zypper_prepare() {
    :
}

zypper_refresh() {
    patiently zypper refresh
}

zypper_inventory() {
    rpm -qa | sort
}

zypper_installed() {
    rpm_installed "$1"
}

zypper_names() {
    for package in "$@"; do
        take "$package"
        printf '%s\n' "$name${architecture:+.$architecture}${version:+=$version}"
    done
}

zypper_add() {
    recommends=--recommends
    if [ "${RECOMMENDS:-true}" = false ]; then recommends=--no-recommends; fi
    # shellcheck disable=SC2046
    case "$*" in
        *=*) patiently zypper install --auto-agree-with-licenses "$recommends" --oldpackage -- $(zypper_names "$@") ;;
        *) patiently zypper install --auto-agree-with-licenses "$recommends" -- $(zypper_names "$@") ;;
    esac
}

zypper_drop() {
    # shellcheck disable=SC2046
    patiently zypper remove -- $(zypper_names "$@")
}

zypper_upgrade() {
    patiently zypper update --auto-agree-with-licenses
}

zypper_held() {
    grep -Fqx -- "solvable_name: $1" "$ROOT/etc/zypp/locks" 2>/dev/null
}

zypper_hold() {
    patiently zypper addlock -- "$1"
}

zypper_unhold() {
    patiently zypper removelock -- "$1"
}

zypper_repository() {
    rpm_repository /etc/zypp/repos.d 'autorefresh=1
type=rpm-md
'
}

zypper_forget() {
    rpm_forget /etc/zypp/repos.d "$1"
}

if [ "$manager" = zypper ]; then
    stamp=$ROOT/var/cache/zypp/.darkroom-refreshed sources=$ROOT/etc/zypp/repos.d
fi


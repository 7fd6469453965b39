# Red Hat's family: dnf, or yum where there is none. Both wait for their own lock.
dnf() {
    set -- -y --setopt=retries=5 --setopt=timeout=60 "$@"
    if [ "$tool" = dnf ] && [ "${RECOMMENDS:-true}" = false ]; then
        set -- --setopt=install_weak_deps=False "$@"
    fi
    command "$tool" "$@" </dev/null
}

dnf_prepare() {
    :
}

dnf_refresh() {
    if [ "$tool" = dnf ]; then patiently dnf makecache; else patiently dnf makecache fast; fi
}

dnf_inventory() {
    rpm -qa | sort
}

dnf_installed() {
    rpm_installed "$1"
}

# dnf_names PACKAGES: as dnf writes them, one a line.
dnf_names() {
    for package in "$@"; do
        take "$package"
        printf '%s\n' "$name${version:+-$version}${architecture:+.$architecture}"
    done
}

# An older version than the one that is there is no installation to yum.
dnf_add() {
    # shellcheck disable=SC2046
    patiently dnf install $(dnf_names "$@")
    older=
    for package in $(those no "$@"); do
        case $package in *=*) older="$older$package
" ;; esac
    done
    if [ -n "$older" ]; then
        # shellcheck disable=SC2046,SC2086
        patiently dnf downgrade $(dnf_names $older)
    fi
}

dnf_drop() {
    # shellcheck disable=SC2046
    patiently dnf remove $(dnf_names "$@")
}

dnf_upgrade() {
    patiently dnf upgrade
}

# The three ways in which dnf, yum and dnf5 list a package that is held.
dnf_held() {
    lines=$(rpm -q --qf '%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.*\n%{EPOCHNUM}:%{NAME}-%{VERSION}-%{RELEASE}.*\nPackage name: %{NAME}\n' "$1" 2>/dev/null) || return 1
    dnf -q versionlock list 2>/dev/null | grep -Fqx -e "$lines"
}

dnf_hold() {
    if ! dnf -q versionlock list >/dev/null 2>&1; then
        refresh
        if [ "$tool" = dnf ]; then
            patiently dnf install python3-dnf-plugin-versionlock
        else
            patiently dnf install yum-plugin-versionlock
        fi
    fi
    dnf versionlock add "$1"
}

dnf_unhold() {
    dnf versionlock delete "$1"
}

dnf_repository() {
    rpm_repository /etc/yum.repos.d ''
}

dnf_forget() {
    rpm_forget /etc/yum.repos.d "$1"
}

if [ "$manager" = dnf ]; then
    stamp=$ROOT/var/cache/$tool/.darkroom-refreshed sources=$ROOT/etc/yum.repos.d
fi


# What dnf, yum and zypper have in common.

# Every package provides its own name. Versions are asked with and without epoch and
# release, as people write them.
rpm_installed() {
    take "$1"
    if [ -z "$version" ]; then
        rpm -q --whatprovides "$name${architecture:+.$architecture}" >/dev/null 2>&1 ||
            rpm -q "$name${architecture:+.$architecture}" >/dev/null 2>&1
    else
        rpm -q --qf '%{VERSION}\n%{VERSION}-%{RELEASE}\n%{EPOCHNUM}:%{VERSION}\n%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' \
            "$name${architecture:+.$architecture}" 2>/dev/null | grep -Fqx -- "$version"
    fi
}

# rpm_repository FOLDER LINES: the file of the repository, and its key.
rpm_repository() {
    key=$REPOSITORY_KEYRING
    if [ -n "$REPOSITORY_KEY" ]; then
        key=/etc/pki/rpm-gpg/RPM-GPG-KEY-$REPOSITORY_NAME
        before=$darkroom_changed
        darkroom_changed=no
        put "$ROOT$key" "$REPOSITORY_KEY"
        if [ "$darkroom_changed" = yes ]; then
            rpm --import "$ROOT$key"
        else
            darkroom_changed=$before
        fi
    fi
    check=1
    if [ "$REPOSITORY_VERIFY" = no ]; then check=0; fi
    put "$ROOT$1/$REPOSITORY_NAME.repo" "[$REPOSITORY_NAME]
name=$REPOSITORY_NAME
baseurl=$REPOSITORY_URL
enabled=1
gpgcheck=$check
${key:+gpgkey=file://$key
}$2"
}

rpm_forget() {
    gone "$ROOT$1/$2.repo"
    gone "$ROOT/etc/pki/rpm-gpg/RPM-GPG-KEY-$2"
}


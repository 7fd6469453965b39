# Debian and Ubuntu.
stamp=$ROOT/var/lib/apt/lists/.darkroom-refreshed sources=$ROOT/etc/apt

# apt-get that asks nothing, keeps changed configuration files, waits for the lock of
# dpkg and asks a mirror again.
apt() {
    DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_SUSPEND=1 \
        UCF_FORCE_CONFFOLD=1 apt-get -q -y \
        -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o APT::Install-Recommends="${RECOMMENDS:-true}" \
        "$@" </dev/null
}

# dpkg refuses everything else until then.
apt_prepare() {
    if [ -n "$(ls "$ROOT/var/lib/dpkg/updates" 2>/dev/null)" ]; then
        patiently dpkg --configure -a
    fi
}

apt_refresh() {
    patiently apt update -o APT::Update::Error-Mode=any
}

apt_inventory() {
    dpkg-query -W
}

# A virtual package is there where something installed provides it.
apt_installed() {
    take "$1"
    case $1 in
        *=*) dpkg-query -W -f='${db:Status-Status} ${Version}\n' -- "${1%%=*}" 2>/dev/null |
            grep -Fqx -- "installed $version" ;;
        *) dpkg-query -W -f='${db:Status-Status}\n' -- "${1%%/*}" 2>/dev/null |
            grep -Fqx installed || apt_provided "$name" ;;
    esac
}

apt_provided() {
    dpkg-query -W -f='${db:Status-Status} ${Provides}\n' 2>/dev/null |
        sed -n 's/^installed //p' | tr ',' '\n' | sed 's/^ *//; s/ .*//' | grep -Fqx -- "$1"
}

# Who asks for a version means it, be it an older one or that of a held package.
apt_add() {
    case "$*" in
        *=*) patiently apt install --allow-downgrades --allow-change-held-packages -- "$@" ;;
        *) patiently apt install -- "$@" ;;
    esac
}

apt_drop() {
    patiently apt purge -- "$@"
}

apt_upgrade() {
    patiently apt upgrade --with-new-pkgs
}

apt_held() {
    apt-mark showhold | grep -Fqx -- "$1"
}

apt_hold() {
    apt-mark hold -- "$1"
}

apt_unhold() {
    apt-mark unhold -- "$1"
}

# In deb822 form; the key counts for this repository only.
apt_repository() {
    key=$REPOSITORY_KEYRING
    if [ -n "$REPOSITORY_KEY" ]; then
        key=/etc/apt/keyrings/$REPOSITORY_NAME.asc
        put "$ROOT$key" "$REPOSITORY_KEY"
    fi
    suites=$(printf '%s' "${REPOSITORY_SUITES:-./}" | tr '\n' ' ')
    text="Types: deb
URIs: $REPOSITORY_URL
Suites: $suites
"
    if [ -n "$REPOSITORY_COMPONENTS" ]; then
        text="${text}Components: $(printf '%s' "$REPOSITORY_COMPONENTS" | tr '\n' ' ')
"
    fi
    if [ "$REPOSITORY_VERIFY" = no ]; then
        text="${text}Trusted: yes
"
    elif [ -n "$key" ]; then
        text="${text}Signed-By: $key
"
    fi
    put "$ROOT/etc/apt/sources.list.d/$REPOSITORY_NAME.sources" "$text"
}

apt_forget() {
    gone "$ROOT/etc/apt/sources.list.d/$1.sources"
    gone "$ROOT/etc/apt/keyrings/$1.asc"
}


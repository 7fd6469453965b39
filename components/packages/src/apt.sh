# Shared by the steps of the component `packages` on machines with apt. Lists of
# packages come by environment, one a line; nothing is ever pasted in here.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none
export NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1

if ! command -v apt-get >/dev/null 2>&1; then
    echo 'this machine has no apt-get: the component `packages` works on Debian and Ubuntu'
    exit 69
fi

# apt-get that asks nothing, keeps changed configuration files, waits for the lock of
# dpkg and asks a mirror again.
get() {
    apt-get -q -y \
        -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o APT::Install-Recommends="${RECOMMENDS:-true}" \
        "$@"
}

# Runs a command again, for at most ten minutes, while another process holds a lock that
# apt does not wait for by itself.
patiently() {
    tries=120
    while ! output=$("$@" 2>&1); do
        case $output in
            *'Could not get lock'* | *'is another process using it'* | *'locked by another process'*) ;;
            *) printf '%s\n' "$output"; return 1 ;;
        esac
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            printf '%s\n' "$output"
            return 1
        fi
        sleep 5
    done
    printf '%s\n' "$output"
}

# Finishes what an interrupted attempt began: dpkg refuses everything else until then.
finish_interrupted() {
    if [ -n "$(ls "$ROOT/var/lib/dpkg/updates" 2>/dev/null)" ]; then
        patiently dpkg --configure -a
    fi
}

# Refreshes the lists unless we did within the hour and the sources are no younger.
# The dates of the lists themselves are the mirror's and say nothing.
refresh() {
    stamp="$ROOT/var/lib/apt/lists/.darkroom-refreshed"
    if [ -n "$(find "$stamp" -mmin -60 2>/dev/null)" ] &&
        [ -z "$(find "$ROOT/etc/apt" -newer "$stamp" 2>/dev/null | head -n 1)" ]; then
        echo 'the package lists are fresh'
        return
    fi
    patiently get update -o APT::Update::Error-Mode=any
    mkdir -p "${stamp%/*}"
    : >"$stamp"
}

# Whether a package is installed: `name`, `name:architecture`, `name=version` or
# `name/release`; a virtual one is where something installed provides it.
installed() {
    name=${1%%[=/]*}
    case $1 in
        *=*) dpkg-query -W -f='${db:Status-Status} ${Version}\n' -- "$name" 2>/dev/null |
            grep -Fqx -- "installed ${1#*=}" ;;
        *) dpkg-query -W -f='${db:Status-Status}\n' -- "$name" 2>/dev/null |
            grep -Fqx installed || provided "$name" ;;
    esac
}

provided() {
    dpkg-query -W -f='${db:Status-Status} ${Provides}\n' 2>/dev/null |
        sed -n 's/^installed //p' | tr ',' '\n' | sed 's/^ *//; s/ .*//' | grep -Fqx -- "$1"
}

# Prints those of the arguments that are installed (`yes`) or not (`no`), one a line.
those() {
    wanted=$1
    shift
    for package in "$@"; do
        if installed "$package"; then found=yes; else found=no; fi
        if [ "$found" = "$wanted" ]; then printf '%s\n' "$package"; fi
    done
}

# Lists are split at line ends only, and never expanded as patterns.
set -f
IFS='
'

# Shared by the steps of the component `packages`. What this machine is, its own
# os-release says; each package manager has its functions in a file of its own:
#
#   X_prepare             finishes what an interrupted attempt began
#   X_refresh             fetches the lists of packages
#   X_inventory           prints all packages with their versions
#   X_installed PACKAGE   whether it is there, in its version where one is asked for
#   X_add PACKAGES        installs
#   X_drop PACKAGES       removes
#   X_upgrade             upgrades everything
#   X_held NAME, X_hold NAME, X_unhold NAME
#   X_repository          sets a repository up, by the variables REPOSITORY_*
#   X_forget NAME         removes a repository
#
# and the variables `stamp`, the file that is made when lists are fetched, and `sources`,
# what lists depend on. Packages come by environment, one a line; nothing is pasted in.
family=$(family)
case $family in
    debian) manager=apt tool=apt-get ;;
    alpine) manager=apk tool=apk ;;
    suse) manager=zypper tool=zypper ;;
    rhel)
        manager=dnf tool=dnf
        if ! has dnf && has yum; then tool=yum; fi
        ;;
esac
if ! has "$tool"; then
    printf 'this machine has no %s, which its family (%s) is served by\n' "$tool" "$family" >&2
    exit 69
fi

# Lists are split at line ends only, and never expanded as patterns.
set -f
IFS='
'

# take PACKAGE: splits `name`, `name:architecture`, `name=version`, `name/release`.
take() {
    name=${1%%[=/]*} version='' architecture=''
    case $1 in *=*) version=${1#*=} ;; esac
    case $name in *:*) architecture=${name#*:} name=${name%%:*} ;; esac
}

# Why a package manager failed and will not if it is asked again.
LOCKED='Could not get lock|[Uu]nable to acquire the dpkg|is another process using it|locked by another process|[Ss]ystem management is locked|[Uu]nable to lock database|database is locked|holding the yum lock'
UNREACHED='[Tt]emporary failure|temporary error|[Cc]ould not resolve|[Cc]ould not connect|[Cc]onnection (failed|refused|reset|timed out)|[Ff]ailed to (fetch|download)|[Cc]annot download|[Hh]ash [Ss]um mismatch|[Tt]imed out|[Tt]imeout|[Cc]url error|[Nn]o more mirrors|network error|HTTP [Ee]rror 5'

# patiently COMMAND: runs it again while it fails because another process holds a lock,
# for at most ten minutes, or because a mirror is in trouble, twice.
patiently() {
    locked=120 unreached=2 log=$(mktemp)
    while :; do
        { "$@" 2>&1 && echo 0 >"$log.code" || echo "$?" >"$log.code"; } | tee "$log"
        code=$(cat "$log.code")
        if [ "$code" != 0 ] && grep -Eq "$LOCKED" "$log" && [ "$locked" -gt 0 ]; then
            locked=$((locked - 1))
            sleep 5
        elif [ "$code" != 0 ] && grep -Eq "$UNREACHED" "$log" && [ "$unreached" -gt 0 ]; then
            unreached=$((unreached - 1))
            sleep 10
        else
            rm -f "$log" "$log.code"
            return "$code"
        fi
    done
}

# Fetches the lists unless we did within the hour and the sources are no younger. The
# dates of the lists themselves are the mirror's and say nothing.
refresh() {
    # shellcheck disable=SC2086
    if [ -n "$(find "$stamp" -mmin -60 2>/dev/null)" ] &&
        [ -z "$(find $sources -newer "$stamp" 2>/dev/null | head -n 1)" ]; then
        echo 'the package lists are fresh'
        return 0
    fi
    "${manager}_refresh"
    mkdir -p "${stamp%/*}"
    : >"$stamp"
}

# those yes|no PACKAGES: prints those of them that are installed, or are not, one a line.
those() {
    those_wanted=$1
    shift
    for package in "$@"; do
        if "${manager}_installed" "$package"; then found=yes; else found=no; fi
        if [ "$found" = "$those_wanted" ]; then printf '%s\n' "$package"; fi
    done
}


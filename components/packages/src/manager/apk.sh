# Alpine. What is asked for stands in /etc/apk/world; with a version it is held there.
apk() {
    command apk --no-progress --wait 600 "$@" </dev/null
}

apk_prepare() {
    :
}

apk_refresh() {
    patiently apk update
}

apk_inventory() {
    apk info -v 2>/dev/null | sort
}

# apk's own notion of a dependency knows versions, and packages that provide others.
apk_installed() {
    apk info -e "$1" >/dev/null 2>&1
}

apk_add() {
    patiently apk add "$@"
}

apk_drop() {
    patiently apk del "$@"
}

apk_upgrade() {
    patiently apk upgrade
}

apk_held() {
    awk -v start="$1=" 'index($0, start) == 1 { found = 1 } END { exit !found }' "$ROOT/etc/apk/world"
}

apk_hold() {
    found=$(apk info -v 2>/dev/null | sed -n "s/^$(printf '%s' "$1" | sed 's/[.+]/\\&/g')-\([0-9][^-]*-r[0-9]*\)\$/\1/p")
    patiently apk add "$1=$found"
}

apk_unhold() {
    patiently apk add "$1"
}

apk_repository() {
    if [ "$REPOSITORY_VERIFY" = no ]; then
        fail 'apk can not be told to trust one repository without its key: give `key`'
    fi
    if [ -n "$REPOSITORY_KEY" ]; then
        put "$ROOT/etc/apk/keys/${REPOSITORY_KEY_NAME:-$REPOSITORY_NAME.rsa.pub}" "$REPOSITORY_KEY"
    fi
    put "$ROOT/etc/apk/repositories.d/$REPOSITORY_NAME.list" "$REPOSITORY_URL
"
}

apk_forget() {
    gone "$ROOT/etc/apk/repositories.d/$1.list"
}

if [ "$manager" = apk ]; then
    stamp=$ROOT/var/cache/apk/.darkroom-refreshed sources="$ROOT/etc/apk/repositories
$ROOT/etc/apk/repositories.d"
fi


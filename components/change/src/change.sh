# The opening of a builder's script. What follows compares what is there with what is
# wanted, changes what differs by these functions, and ends by saying whether it did.
# Every path is below $ROOT, which is empty for the machine itself.
set -eu
export LC_ALL=C
umask 022
darkroom_changed=no

# changed WORDS: something was changed; the words are for the log.
changed() {
    darkroom_changed=yes
    printf '%s\n' "$*"
}

# fail WORDS: ends the script.
fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# has PROGRAM: whether it is there.
has() {
    command -v "$1" >/dev/null 2>&1
}

# put PATH TEXT [MODE [OWNER]]: the file holds exactly this text. It is replaced in one
# move, a link in its place too, and left alone where it is as it should be.
put() {
    mkdir -p "${1%/*}"
    put_new=$(mktemp "$1.XXXXXX")
    printf '%s' "$2" >"$put_new"
    dress "$put_new" "${3:-0644}" "${4:-}"
    settle "$put_new" "$1"
}

# dress FILE MODE OWNER: the owner first, because a new one takes away set-user-id bits.
dress() {
    if [ -n "$3" ]; then
        chown "$3" "$1"
    fi
    chmod "$2" "$1"
}

# settle NEW PATH: the file NEW, of the same file system, takes the place of PATH, unless
# that has the same content, mode and owner.
settle() {
    if [ -d "$2" ] && [ ! -L "$2" ]; then
        rm -f "$1"
        fail "$2 is a folder, not a file"
    fi
    if [ -f "$2" ] && [ ! -L "$2" ] &&
        [ "$(stat -c '%a %u %g' "$1")" = "$(stat -c '%a %u %g' "$2")" ] &&
        [ "$(sha256sum <"$1")" = "$(sha256sum <"$2")" ]; then
        rm -f "$1"
        return 0
    fi
    if [ -L "$2" ]; then
        # mv would put the file into the folder that the link may name.
        rm -f "$2"
    fi
    mv -f "$1" "$2"
    relabel "$2"
    changed "wrote $2"
}

# gone PATH: the file or link is not there.
gone() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        rm -f "$1"
        changed "removed $1"
    fi
}

# relabel PATH: gives a new file the label that SELinux wants, where it is used.
relabel() {
    if has restorecon; then
        restorecon "$1" 2>/dev/null || :
    fi
}


case $HASH in
    '' | '!' | '*' | '$'* | _*) ;;
    *) case $HASH in
        *[!./0-9A-Za-z]*) fail 'password-hash is no hash of a password: make one with openssl passwd -6' ;;
        ?????????????) ;;
        *) fail 'password-hash is no hash of a password: make one with openssl passwd -6' ;;
        esac ;;
esac
case $HASH in
    *:* | *'
'*) fail 'password-hash is no hash of a password: it holds a colon or a line end' ;;
esac

# Alpine has the tools of busybox; the package shadow brings the others there.
make_group() {
    if getent group "$1" >/dev/null; then
        return 0
    fi
    if has groupadd; then
        if [ "$2" = yes ]; then groupadd -r "$1"; else groupadd "$1"; fi
    elif [ "$2" = yes ]; then
        addgroup -S "$1"
    else
        addgroup "$1"
    fi
    changed "made the group $1"
}

make_user() {
    if has useradd; then
        set --
        if [ -n "$NUMBER" ]; then set -- "$@" -u "$NUMBER"; fi
        if [ -n "$OWN_GROUP" ]; then
            set -- "$@" -g "$OWN_GROUP"
        elif getent group "$NAME" >/dev/null; then
            set -- "$@" -g "$NAME"
        else
            set -- "$@" -U
        fi
        if [ -n "$USER_HOME" ]; then set -- "$@" -d "$USER_HOME"; fi
        if [ -n "$USER_SHELL" ]; then set -- "$@" -s "$USER_SHELL"; fi
        if [ -n "$COMMENT" ]; then set -- "$@" -c "$COMMENT"; fi
        if [ "$SYSTEM" = yes ]; then set -- "$@" -r -M; else set -- "$@" -m; fi
        useradd "$@" "$NAME"
    else
        set -- -D
        if [ -n "$NUMBER" ]; then set -- "$@" -u "$NUMBER"; fi
        if [ -n "$OWN_GROUP" ]; then set -- "$@" -G "$OWN_GROUP"; fi
        if [ -n "$USER_HOME" ]; then set -- "$@" -h "$USER_HOME"; fi
        if [ -n "$USER_SHELL" ]; then set -- "$@" -s "$USER_SHELL"; fi
        if [ -n "$COMMENT" ]; then set -- "$@" -g "$COMMENT"; fi
        if [ "$SYSTEM" = yes ]; then set -- "$@" -S -H; fi
        adduser "$@" "$NAME"
    fi
    changed "made the user $NAME"
}

# modify OPTION VALUE WORDS: changes a user that is there.
modify() {
    if ! has usermod; then
        fail "$NAME is there, and to change $3 this machine needs the package shadow"
    fi
    usermod "$1" "$2" "$NAME"
    changed "changed $3 of $NAME"
}

if [ -n "$USER_SHELL" ] && [ ! -x "$ROOT$USER_SHELL" ]; then
    fail "the shell $USER_SHELL is not there: install its package first"
fi
if [ -n "$OWN_GROUP" ]; then
    make_group "$OWN_GROUP" "$SYSTEM"
fi
if [ -z "$(field 3)" ]; then
    make_user
fi
if [ -n "$NUMBER" ] && [ "$(field 3)" != "$NUMBER" ]; then
    fail "$NAME is there with the number $(field 3), not $NUMBER: its files would be lost to it"
fi
if [ -n "$OWN_GROUP" ] && [ "$(id -gn "$NAME")" != "$OWN_GROUP" ]; then
    modify -g "$OWN_GROUP" 'the own group'
fi
if [ -n "$USER_HOME" ] && [ "$(field 6)" != "$USER_HOME" ]; then
    modify -d "$USER_HOME" 'the home'
fi
if [ -n "$USER_SHELL" ] && [ "$(field 7)" != "$USER_SHELL" ]; then
    modify -s "$USER_SHELL" 'the shell'
fi
if [ -n "$COMMENT" ] && [ "$(field 5)" != "$COMMENT" ]; then
    modify -c "$COMMENT" 'the full name'
fi

set -f
for group in $(lines "$GROUPS_WANTED"); do
    make_group "$group" no
    if ! in_group "$group"; then
        if has usermod; then usermod -a -G "$group" "$NAME"; else addgroup "$NAME" "$group"; fi
        changed "$NAME is in the group $group"
    fi
done
set +f

if [ -n "$HASH" ] && [ "$(password)" != "$HASH" ]; then
    # By standard input: what is an argument can be seen by every process.
    printf '%s:%s\n' "$NAME" "$HASH" | chpasswd -e
    changed "set the password of $NAME"
fi
if [ "$LOCK" = yes ]; then
    case $(password) in
        '!'* | '*'*) ;;
        *)
            # Not by an expiry date, which would shut out keys too.
            if has usermod; then usermod -L "$NAME"; else passwd -l "$NAME" >/dev/null; fi
            case $(password) in
                # An empty password is nothing that a tool would put a mark before.
                '!'* | '*'*) ;;
                *) printf '%s:!\n' "$NAME" | chpasswd -e ;;
            esac
            changed "locked the password of $NAME"
            ;;
    esac
fi

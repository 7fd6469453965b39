# One case; nothing is changed.
fail() {
    printf '%s\n' "$*"
    exit 1
}

# same WANTED FOUND WORDS
same() {
    if [ -n "$1" ] && [ "$1" != "$2" ]; then
        fail "$3 of $NAME is $2, not $1"
    fi
}

case $ASPECT in
    absent)
        if [ -n "$(field 3)" ]; then
            fail "$NAME is there"
        fi
        if [ -e "$(sudoers_file)" ]; then
            fail "$NAME is not there, but $(sudoers_file) is"
        fi
        ;;
    present)
        if [ -z "$(field 3)" ]; then
            fail "there is no user $NAME"
        fi
        same "$NUMBER" "$(field 3)" 'the number'
        same "$OWN_GROUP" "$(id -gn "$NAME")" 'the own group'
        same "$USER_HOME" "$(field 6)" 'the home'
        same "$USER_SHELL" "$(field 7)" 'the shell'
        ;;
    group) in_group "$ITEM" || fail "$NAME is in $(id -Gn "$NAME" 2>/dev/null || echo nothing)" ;;
    keys)
        file=$ROOT$(field 6)/.ssh/authorized_keys
        lines "$KEYS" | while IFS= read -r key; do
            grep -Fqx -- "$key" "$file" 2>/dev/null || fail "a key is missing in $file: $key"
        done
        ;;
    locked) case $(password) in
        '!'* | '*'*) ;;
        *) fail "the password of $NAME is not locked" ;;
        esac ;;
    password) case $(password) in
        '' | '!'* | '*'*) fail "$NAME has no password" ;;
        esac ;;
    sudo)
        visudo -c -q || fail 'visudo refuses the rules of this machine'
        grep -Fqx -- "$NAME $SUDO" "$(sudoers_file)" 2>/dev/null || fail "$(sudoers_file) does not say so"
        ;;
esac

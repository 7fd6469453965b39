# field NUMBER: a field of the user's line in passwd(5); nothing where there is no user.
field() {
    getent passwd "$NAME" | cut -d: -f"$1"
}

# password: the field of shadow(5). The hash is never shown.
password() {
    awk -F: -v name="$NAME" '$1 == name { print $2 }' "$ROOT/etc/shadow"
}

# in_group GROUP: whether the user is in it, be it its own.
in_group() {
    id -Gn "$NAME" 2>/dev/null | tr ' ' '\n' | grep -Fqx -- "$1"
}

# sudoers_file: where the rights stand. sudo skips files with a dot in their name.
sudoers_file() {
    printf '%s/etc/sudoers.d/darkroom-%s' "$ROOT" "$(printf '%s' "$NAME" | tr '.$' '__')"
}

# each line of a list, without expansion of patterns
lines() {
    printf '%s\n' "$1" | sed '/^$/d'
}


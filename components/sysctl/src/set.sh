if [ -n "$TEXT" ]; then
    put "$ROOT$FILE" "$TEXT"
else
    gone "$ROOT$FILE"
fi

# The path of a parameter: dots and slashes change places, unless a slash comes first.
path_of() {
    case ${1%%[./]*} in
        "$1") printf '%s' "$1" ;;
        *) case ${1#"${1%%[./]*}"} in
            /*) printf '%s' "$1" ;;
            *) printf '%s' "$1" | tr './' '/.' ;;
        esac ;;
    esac
}

# What the kernel holds; it writes tabs where others write blanks.
current() {
    tr -s '\t' ' ' <"$1" 2>/dev/null
}

while IFS='=' read -r key value; do
    [ -n "$key" ] || continue
    path=$ROOT/proc/sys/$(path_of "$key")
    if [ ! -e "$path" ]; then
        printf 'the running kernel has no %s; the file counts at the next boot\n' "$key"
        continue
    fi
    before=$(current "$path" || :)
    if [ "$before" = "$value" ]; then
        continue
    fi
    if ! { printf '%s\n' "$value" >"$path"; } 2>/dev/null; then
        printf 'the running kernel does not let %s be set to %s; the file counts at the next boot\n' "$key" "$value"
    elif [ "$(current "$path" || :)" != "$before" ]; then
        changed "set $key to $value"
    fi
done <<SETTINGS
$SETTINGS
SETTINGS

home=$(field 6)
if [ -z "$home" ] || [ "$home" = / ] || [ "$home" = /nonexistent ]; then
    fail "$NAME has no home for authorized keys"
fi
folder=$ROOT$home/.ssh
file=$folder/authorized_keys
# The folder is the user's: a link that it put there must not lead root elsewhere.
if [ -L "$folder" ] || [ -L "$file" ]; then
    fail "$file is a link, or in one: remove it first"
fi
if [ ! -d "$ROOT$home" ]; then
    mkdir -p "$ROOT$home"
    chmod 0700 "$ROOT$home"
    chown "$NAME:" "$ROOT$home"
    changed "made $home"
fi
if [ ! -d "$folder" ]; then
    mkdir "$folder"
    changed "made $folder"
fi
chmod 0700 "$folder"
chown "$NAME:$(id -gn "$NAME")" "$folder"

old=
if [ -f "$file" ] && [ "$ONLY" != yes ]; then
    old=$(cat "$file")
fi
text=$(
    {
        printf '%s\n' "$old"
        lines "$KEYS"
    } | awk 'NF && !seen[$0]++'
)
put "$file" "$text${text:+
}" 0600 "$NAME:$(id -gn "$NAME")"

if [ -L "$FILE" ]; then
    if [ "$(readlink "$FILE")" != "$TARGET" ]; then
        rm -f "$FILE"
    fi
elif [ -d "$FILE" ]; then
    fail "$FILE is a folder; it would have to be removed for the link"
elif [ -e "$FILE" ]; then
    rm -f "$FILE"
fi
if [ ! -L "$FILE" ]; then
    mkdir -p "${FILE%/*}"
    # What is written is the target, never an option.
    ln -s -- "$TARGET" "$FILE"
    changed "linked $FILE to $TARGET"
fi
before=$(stat -c '%u %g' "$FILE")
chown -h "$OWNER" "$FILE"
if [ "$(stat -c '%u %g' "$FILE")" != "$before" ]; then
    changed "changed the owner of $FILE"
fi

if [ -L "$FILE" ]; then
    fail "$FILE is a link; it would have to be removed for the folder"
fi
if [ ! -d "$FILE" ]; then
    if [ -e "$FILE" ]; then
        fail "$FILE is a file; it would have to be removed for the folder"
    fi
    mkdir -p "$FILE"
    relabel "$FILE"
    changed "made $FILE"
fi
before=$(stat -c '%a %u %g' "$FILE")
dress "$FILE" "$MODE" "$OWNER"
if [ "$(stat -c '%a %u %g' "$FILE")" != "$before" ]; then
    changed "changed mode or owner of $FILE"
fi

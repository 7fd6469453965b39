if [ -d "$FILE" ] && [ ! -L "$FILE" ]; then
    if [ "$RECURSIVE" = yes ]; then
        rm -rf "$FILE"
    elif ! rmdir "$FILE" 2>/dev/null; then
        fail "$FILE is a folder with something in it; with \`recursive\` all of it goes"
    fi
    changed "removed $FILE"
else
    gone "$FILE"
fi

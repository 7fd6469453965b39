# The note about a place: what was unpacked there, then the names of all that was. One
# place may hold several archives; each has its note, named by place and digest.
place_id=$(printf '%s' "$TO" | sha256sum)
place_id=${place_id%% *}

# note_of SHA256
note_of() {
    printf '%s/%s-%s' "$NOTES" "${place_id%"${place_id#????????????????}"}" "$1"
}

# told: what would be unpacked and how; an archive that is unpacked otherwise is another.
told() {
    printf '%s %s %s\n' "$FORMAT" "$STRIP" "$OWNER"
}

# is_there SHA256: whether the note says so, and all that it names is there.
is_there() {
    note=$(note_of "$1")
    [ -f "$note" ] && [ "$(head -n 1 "$note")" = "$(told)" ] || return 1
    # The names end with NUL in the second part, because a name may hold a line end.
    tail -n +2 "$note" | (
        cd "$TO" 2>/dev/null || exit 1
        xargs -0 sh -c 'for name in "$@"; do [ -e "$name" ] || [ -L "$name" ] || exit 255; done' sh
    ) >/dev/null 2>&1
}


mkdir -p "${FILE%/*}"
new=$(mktemp "$FILE.XXXXXX")
cat "$STAGED" >"$new"
dress "$new" "$MODE" "$OWNER"
settle "$new" "$FILE"
rm -f "$STAGED"
rmdir "${STAGED%/*}" 2>/dev/null || :

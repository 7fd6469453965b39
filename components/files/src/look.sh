# What is at the path now: its digest, mode and owner.
if [ -d "$FILE" ] && [ ! -L "$FILE" ]; then
    echo 'folder'
elif [ -L "$FILE" ] || [ ! -f "$FILE" ]; then
    echo 'other'
else
    sum=$(sha256sum <"$FILE") && printf 'file %s %s\n' "${sum%% *}" "$(stat -c '%a %U:%G' -- "$FILE")"
fi

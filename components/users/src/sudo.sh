file=$(sudoers_file)
if [ -z "$SUDO" ]; then
    gone "$file"
else
    if ! has visudo; then
        fail 'sudo is not there: install the package sudo first'
    fi
    # It is looked at before it takes its place: a mistake in it would end sudo for all.
    trial=$(mktemp)
    printf '%s %s\n' "$NAME" "$SUDO" >"$trial"
    if ! said=$(visudo -c -q -f "$trial" 2>&1); then
        rm -f "$trial"
        fail "visudo refuses the rights of $NAME: $said"
    fi
    rm -f "$trial"
    put "$file" "$NAME $SUDO
" 0440
fi

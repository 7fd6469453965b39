set -- $PACKAGES
missing=$(those no "$@")
if [ -z "$missing" ]; then
    echo 'all of them are installed'
else
    "${manager}_prepare"
    refresh
    set -- $missing
    "${manager}_add" "$@"
    # A package manager may take a name that it does not know for a pattern; so look.
    missing=$(those no "$@")
    if [ -n "$missing" ]; then
        fail "not installed in spite of $tool: $(printf '%s ' $missing)"
    fi
    changed "installed $(printf '%s ' "$@")"
fi

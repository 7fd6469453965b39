set -- $PACKAGES
present=$(those yes "$@")
if [ -z "$present" ]; then
    echo 'none of them is installed'
else
    "${manager}_prepare"
    set -- $present
    "${manager}_drop" "$@"
    present=$(those yes "$@")
    if [ -n "$present" ]; then
        fail "not removed in spite of $tool: $(printf '%s ' $present)"
    fi
    changed "removed $(printf '%s ' "$@")"
fi

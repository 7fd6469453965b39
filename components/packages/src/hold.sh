for package in $HOLD; do
    if ! "${manager}_installed" "$package"; then
        fail "$package is not installed, so there is no version to hold"
    fi
    if ! "${manager}_held" "$package"; then
        "${manager}_hold" "$package"
        "${manager}_held" "$package" || fail "$tool does not hold $package"
        changed "holding $package"
    fi
done
for package in $UNHOLD; do
    if "${manager}_held" "$package"; then
        "${manager}_unhold" "$package"
        changed "holding $package no longer"
    fi
done

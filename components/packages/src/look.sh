for package in $PACKAGES; do
    if "${manager}_installed" "$package"; then
        printf 'yes %s\n' "$package"
    else
        printf 'no %s\n' "$package"
    fi
done
for package in $HOLD; do
    if "${manager}_held" "$package"; then
        printf 'held %s\n' "$package"
    fi
done

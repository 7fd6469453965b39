set -- $PACKAGES
for package in "$@"; do
    if installed "$package"; then
        printf 'yes %s\n' "$package"
    else
        printf 'no %s\n' "$package"
    fi
done

set -- $PACKAGES
missing=$(those no "$@")
if [ -z "$missing" ]; then
    echo 'all of them are installed'
    exit 0
fi
finish_interrupted
refresh
set -- $missing
get install -- "$@"
# apt takes a name that it does not know for a pattern; so look.
missing=$(those no "$@")
if [ -n "$missing" ]; then
    printf 'not installed in spite of apt-get: %s\n' $missing
    exit 1
fi

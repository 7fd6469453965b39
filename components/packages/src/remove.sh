set -- $PACKAGES
present=$(those yes "$@")
if [ -z "$present" ]; then
    echo 'none of them is installed'
    exit 0
fi
finish_interrupted
set -- $present
get purge -- "$@"

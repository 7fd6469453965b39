# Whether the unit starts by itself at boot.
if ! command -v systemctl >/dev/null 2>&1; then
    echo 'this image has no systemctl, so its units cannot be looked at'
    exit 1
fi
state=$(systemctl is-enabled -- "$UNIT" 2>&1) || :
printf '%s is %s\n' "$UNIT" "$state"
case $state in
    enabled | enabled-runtime | static | alias | indirect | generated) ;;
    *) exit 1 ;;
esac

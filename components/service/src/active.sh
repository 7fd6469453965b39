# Waits until the unit is active; starts nothing.
if ! command -v systemctl >/dev/null 2>&1; then
    echo 'this image has no systemctl, so its units cannot be looked at'
    exit 1
fi
left=$WAIT
while :; do
    state=$(systemctl is-active -- "$UNIT" 2>/dev/null) || :
    case $state in
        active) printf '%s is active\n' "$UNIT"; exit 0 ;;
        failed) break ;;
    esac
    if [ "$left" -le 0 ]; then break; fi
    left=$((left - 1))
    sleep 1
done
printf '%s is %s\n' "$UNIT" "${state:-unknown}"
systemctl status --no-pager --full --lines=20 -- "$UNIT" 2>&1 || :
exit 1

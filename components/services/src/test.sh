# One case. What is coming up is waited for; nothing is started.
say() {
    printf '%s\n' "$*"
}

enabled() {
    case $(init) in
        systemd)
            found=$(state "$UNIT")
            say "$UNIT is ${found:-unknown}"
            case $found in
                enabled | alias | static | indirect | generated) return 0 ;;
            esac
            return 1
            ;;
        openrc)
            if enlisted "$UNIT"; then
                say "$UNIT is in a run level"
            else
                say "$UNIT is in no run level"
                return 1
            fi
            ;;
        *)
            say 'this machine has neither systemd nor OpenRC'
            exit 1
            ;;
    esac
}

# A timer or a one-shot service is inactive without having failed.
not_failed() {
    left=$WAIT
    while found=$(systemctl is-active -- "$UNIT" 2>/dev/null || :) &&
        [ "$found" = activating ] && [ "$left" -gt 0 ]; do
        sleep 1
        left=$((left - 1))
    done
    say "$UNIT is $found"
    case $found in
        failed | activating)
            systemctl status --no-pager --lines=20 -- "$UNIT" 2>&1 || :
            return 1
            ;;
    esac
}

case $CASE in
    'is enabled') enabled ;;
    'is not enabled') case $(init):$(state "$UNIT") in
        systemd:static | systemd:indirect | systemd:generated) say "$UNIT is started by others only" ;;
        *) ! enabled ;;
        esac ;;
    'is masked')
        found=$(state "$UNIT")
        say "$UNIT is ${found:-unknown}"
        [ "$found" = masked ]
        ;;
    'has not failed')
        if [ "$(init)" = systemd ]; then
            not_failed
        elif rc-service "$UNIT" status 2>&1 | grep -qi crashed; then
            say "$UNIT has crashed"
            exit 1
        fi
        ;;
esac

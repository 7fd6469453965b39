# each FUNCTION NAMES: calls the function with each name of a list of lines.
each() {
    each_function=$1
    set -f
    each_ifs=$IFS
    IFS='
'
    # shellcheck disable=SC2086
    set -- $2
    IFS=$each_ifs
    set +f
    for each_name in "$@"; do
        "$each_function" "$each_name"
    done
}

# systemd can enable and mask without running; to start something it must run.
running_systemd() {
    if [ ! -d /run/systemd/system ] && [ -z "$ROOT" ]; then
        fail "systemd does not run here, so $1 can't be started or stopped"
    fi
}

known() {
    case $(systemctl show -p LoadState -- "$1" 2>/dev/null) in
        LoadState=not-found) fail "there is no unit $1: install its package, or give it in \`units\`" ;;
        LoadState=bad-setting | LoadState=error) fail "systemd can't read the unit $1: $(systemctl status --no-pager -- "$1" 2>&1 || :)" ;;
    esac
}

systemd_unmask() {
    case $(state "$1") in
        masked*)
            systemctl unmask -- "$1"
            changed "unmasked $1"
            ;;
    esac
}

systemd_enable() {
    before=$(state "$1")
    case $before in
        enabled | alias) return 0 ;;
        static)
            echo "$1 is static: others start it"
            return 0
            ;;
        masked*) fail "$1 is masked: name it in \`unmask\` too" ;;
    esac
    known "$1"
    systemctl enable -- "$1"
    after=$(state "$1")
    case $after in
        enabled | alias) ;;
        indirect | generated | transient) echo "$1 is $after: others start it" ;;
        *) fail "$1 is ${after:-unknown} in spite of systemctl enable" ;;
    esac
    if [ "$before" != "$after" ]; then
        changed "enabled $1"
    fi
}

systemd_disable() {
    before=$(state "$1")
    case $before in
        enabled* | alias | indirect | linked*) ;;
        *) return 0 ;;
    esac
    systemctl disable -- "$1"
    if [ "$(state "$1")" != "$before" ]; then
        changed "disabled $1"
    fi
}

systemd_mask() {
    case $(state "$1") in
        masked) return 0 ;;
    esac
    systemctl mask -- "$1"
    changed "masked $1"
}

systemd_start() {
    running_systemd "$1"
    if ! systemctl is-active --quiet -- "$1"; then
        known "$1"
        systemctl start -- "$1" || fail "$1 does not start: $(systemctl status --no-pager --lines=20 -- "$1" 2>&1 || :)"
        changed "started $1"
    fi
}

systemd_stop() {
    case $(systemctl is-active -- "$1" 2>/dev/null || :) in
        active | activating | reloading | deactivating) ;;
        *) return 0 ;;
    esac
    systemctl stop -- "$1"
    changed "stopped $1"
}

systemd_restart() {
    running_systemd "$1"
    known "$1"
    systemctl restart -- "$1" || fail "$1 does not start: $(systemctl status --no-pager --lines=20 -- "$1" 2>&1 || :)"
    echo "restarted $1"
}

openrc_enable() {
    if ! enlisted "$1"; then
        rc-update add "$1" default
        changed "enabled $1"
    fi
}

openrc_disable() {
    if enlisted "$1"; then
        rc-update delete -a "$1"
        changed "disabled $1"
    fi
}

openrc_start() {
    if ! rc-service "$1" status >/dev/null 2>&1; then
        rc-service "$1" start
        changed "started $1"
    fi
}

openrc_stop() {
    if rc-service "$1" status >/dev/null 2>&1; then
        rc-service "$1" stop
        changed "stopped $1"
    fi
}

openrc_restart() {
    rc-service "$1" restart
    echo "restarted $1"
}

openrc_mask() {
    fail "OpenRC can't mask $1: name it in \`disable\`"
}

# Nothing is ever masked there.
openrc_unmask() {
    :
}

init=$(init)
case $init in
    systemd) systemctl daemon-reload || running_systemd 'no unit' ;;
    none) fail 'this machine has neither systemd nor OpenRC' ;;
esac
each "${init}_unmask" "$UNMASK"
each "${init}_enable" "$ENABLE"
each "${init}_disable" "$DISABLE"
each "${init}_stop" "$STOP"
each "${init}_mask" "$MASK"
each "${init}_start" "$START"
each "${init}_restart" "$RESTART"

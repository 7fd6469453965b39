# Where a family keeps certificates that an administrator trusts, and the tool that makes
# the bundles of them.
case $(family) in
    debian | alpine) place=$ROOT/usr/local/share/ca-certificates/$NAME.crt tool=update-ca-certificates ;;
    rhel) place=$ROOT/etc/pki/ca-trust/source/anchors/$NAME.pem tool=update-ca-trust ;;
    suse) place=$ROOT/etc/pki/trust/anchors/$NAME.pem tool=update-ca-certificates ;;
    *) exit 1 ;;
esac
if ! has "$tool"; then
    fail "$tool is not there: install the package ca-certificates first"
fi

trust() {
    if has openssl && ! printf '%s' "$PEM" | openssl x509 -noout 2>/dev/null; then
        fail "$NAME is no certificate: openssl can't read it"
    fi
    put "$place" "$PEM"
    bundle
}

# What was trusted before stays in the bundles of Debian until they are made afresh.
distrust() {
    gone "$place"
    if [ "$tool" = update-ca-certificates ]; then
        bundle --fresh
    else
        bundle
    fi
}

# Makes the bundles. An attempt that was cut off may have left them behind the files, so
# a mark in the file's folder says that they have to be made; it goes last.
bundle() {
    mark=${place%/*}/.darkroom-bundles-are-stale
    if [ "$darkroom_changed" = yes ]; then
        mkdir -p "${mark%/*}"
        : >"$mark"
    elif [ ! -e "$mark" ]; then
        return 0
    fi
    # The tool of Red Hat's family wants to be told what to do, and has no other options.
    if [ "$tool" = update-ca-trust ]; then
        set -- extract
    fi
    "$tool" "$@"
    rm -f "$mark"
    darkroom_changed=yes
}

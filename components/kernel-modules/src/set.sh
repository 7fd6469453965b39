# hold PATH TEXT: the file holds the text, or is not there where there is none.
hold() {
    if [ -n "$2" ]; then
        put "$1" "$2"
    else
        gone "$1"
    fi
}

# Makes the initial RAM disk of every kernel anew. A machine without a kernel, or whose
# kernel starts without such a disk, has no tool for it.
refresh_initramfs() {
    if has update-initramfs; then
        update-initramfs -u -k all
    elif has dracut; then
        dracut --force --regenerate-all
    elif has mkinitfs; then
        for kernel in "$ROOT"/lib/modules/*/; do
            if [ -d "$kernel" ]; then
                mkinitfs "$(basename "$kernel")"
            fi
        done
    else
        echo 'there is no tool for an initial RAM disk, so none is made'
        return 0
    fi
    echo 'made the initial RAM disk anew'
}

hold "$ROOT$LOAD_FILE" "$LOAD"
loading=$darkroom_changed
darkroom_changed=no
hold "$ROOT$PROBE_FILE" "$PROBE"
if [ "$darkroom_changed" = yes ] && [ "$INITRAMFS" = yes ]; then
    refresh_initramfs
fi
if [ "$loading" = yes ]; then
    darkroom_changed=yes
fi

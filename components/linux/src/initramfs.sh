# Puts the drivers named by the arguments into the initramfs $INITRAMFS of the kernel
# $VERSION below $ROOT, by the tool that the machine makes its own with. The tool runs on
# the machine's root, which is this one or is entered for it; the configuration is put
# back where that fails. What it prints last says why it did.
set -u
inside() {
    if [ -z "$ROOT" ]; then
        "$@"
        return
    fi
    # A mount namespace of its own, so that nothing stays mounted whatever happens.
    unshare --mount sh -c '
        for folder in dev proc sys; do
            if [ -d "$ROOT/$folder" ]; then mount --rbind "/$folder" "$ROOT/$folder" 2>/dev/null || :; fi
        done
        exec chroot "$ROOT" "$@"' sh "$@"
}
if [ -x "$ROOT/usr/sbin/update-initramfs" ]; then
    config=$ROOT/etc/initramfs-tools/modules
    make() { inside /usr/sbin/update-initramfs -u -k "$VERSION"; }
    lines() { printf '%s\n' "$@"; }
elif [ -x "$ROOT/usr/bin/dracut" ] || [ -x "$ROOT/usr/sbin/dracut" ]; then
    config=$ROOT/etc/dracut.conf.d/darkroom-drivers.conf
    dracut=/usr/bin/dracut
    if [ ! -x "$ROOT$dracut" ]; then dracut=/usr/sbin/dracut; fi
    make() { inside "$dracut" --force "$INITRAMFS" "$VERSION"; }
    lines() { printf 'add_drivers+=" %s "\n' "$*"; }
else
    echo 'neither update-initramfs nor dracut is there'
    exit 1
fi
# No link may lead the configuration out of the root; its folder may be new.
top=$(readlink -f -- "${ROOT:-/}" | sed 's|/$||')
folder=${config%/*}
for place in "${folder%/*}" "$folder" "$config"; do
    if [ "$place" = "$folder" ]; then mkdir -p -- "$folder" || exit 1; fi
    case $(readlink -f -- "$place") in
        "$top"/*) ;;
        *) echo "$place leads out of the root"; exit 1 ;;
    esac
done
was=
there=no
if [ -f "$config" ]; then
    there=yes
    was=$(cat -- "$config"; echo x)
fi
lines "$@" >>"$config" || exit 1
if make; then
    echo made
    exit 0
fi
if [ "$there" = yes ]; then printf %s "${was%x}" >"$config"; else rm -f -- "$config"; fi
echo 'the initramfs could not be made'
exit 1

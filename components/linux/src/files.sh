# What the items need to know of the files and kernels below $ROOT. Reads only.
# `file MODE OWNER LENGTH PATH` is followed by that many bytes and a line break; every
# other line is a word and its values. tree.rs reads it, and the items judge.
LC_ALL=C
export LC_ALL
top=$(readlink -f -- "${ROOT:-/}")

# A file that a link leads out of the root is another machine's: it is not read.
inside() {
    real=$(readlink -f -- "$1") || return 1
    case $top in
        /) ;;
        *) case $real in "$top"/*) ;; *) return 1 ;; esac ;;
    esac
}
tell() {
    for path; do
        if [ -L "$path" ]; then
            printf 'link %s\n' "${path#"$ROOT"}"
        elif [ -f "$path" ] && inside "$path"; then
            size=$(stat -c %s -- "$path")
            if [ "$size" -le 262144 ]; then
                printf 'file %s %s %s\n' "$(stat -c '%a %U:%G' -- "$path")" "$size" "${path#"$ROOT"}"
                cat -- "$path"
                echo
            fi
        fi
    done
}
tell "$ROOT"/etc/fstab "$ROOT"/etc/adjtime "$ROOT"/etc/sysconfig/clock "$ROOT"/etc/selinux/config \
    "$ROOT"/etc/default/grub "$ROOT"/etc/default/grub.d/*.cfg "$ROOT"/etc/kernel/cmdline \
    "$ROOT"/boot/grub/grub.cfg "$ROOT"/boot/grub2/grub.cfg "$ROOT"/boot/efi/EFI/*/grub.cfg \
    "$ROOT"/boot/grub/menu.lst "$ROOT"/boot/grub/grub.conf "$ROOT"/boot/loader/entries/*.conf \
    "$ROOT"/boot/grub/grubenv "$ROOT"/boot/grub2/grubenv \
    "$ROOT"/etc/network/interfaces "$ROOT"/etc/network/interfaces.d/* \
    "$ROOT"/etc/sysconfig/network-scripts/ifcfg-* "$ROOT"/etc/sysconfig/network/ifcfg-* \
    "$ROOT"/etc/netplan/*.yaml "$ROOT"/etc/netplan/*.yml "$ROOT"/etc/systemd/network/*.network \
    "$ROOT"/etc/NetworkManager/system-connections/* \
    "$ROOT"/etc/cloud/cloud.cfg "$ROOT"/etc/cloud/cloud.cfg.d/*.cfg "$ROOT"/etc/cloud/cloud-init.disabled \
    "$ROOT"/usr/lib/os-release
# The place that it has where it is no link.
if [ ! -f "$ROOT/usr/lib/os-release" ]; then tell "$ROOT"/etc/os-release; fi

# What is there, whatever it is; links that lead nowhere are there too.
for path in /sbin/init /usr/sbin/init /usr/lib/systemd/systemd /lib/systemd/systemd \
    /usr/bin/cloud-init /usr/bin/growpart /usr/sbin/growpart \
    /usr/sbin/aliyun-service /usr/local/share/aliyun-assist /usr/local/aegis/aegis_client \
    /usr/bin/apt-get /usr/bin/dnf /usr/bin/yum /usr/bin/zypper \
    /usr/sbin/update-initramfs /usr/bin/dracut /usr/sbin/dracut \
    /boot/efi/EFI /boot/grub /boot/grub2 /boot/loader /boot/extlinux; do
    if [ -e "$ROOT$path" ] || [ -L "$ROOT$path" ]; then printf 'there %s\n' "$path"; fi
done
# Units: where they lie, what enables them and what masks them.
for unit in cloud-init-local.service cloud-init.service cloud-init-main.service cloud-init-network.service \
    cloud-config.service cloud-final.service aliyun.service; do
    for folder in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
        path=$ROOT$folder/$unit
        if [ -L "$path" ] && [ "$(readlink -- "$path")" = /dev/null ]; then
            printf 'masked %s\n' "$unit"
        elif [ -e "$path" ] || [ -L "$path" ]; then
            printf 'unit %s %s\n' "$unit" "$folder"
        fi
    done
    for link in "$ROOT"/etc/systemd/system/*.wants/"$unit" "$ROOT"/usr/lib/systemd/system/*.wants/"$unit"; do
        if [ -L "$link" ]; then printf 'enabled %s\n' "$unit"; fi
    done
done
# cloud-init's generator puts its target into every boot, so that no link is needed.
if [ -e "$ROOT/usr/lib/systemd/system-generators/cloud-init-generator" ] || [ -e "$ROOT/lib/systemd/system-generators/cloud-init-generator" ]; then
    echo 'there generator'
fi

# The names of the files in an initramfs: archives one after another, the last of them
# compressed. A header of 110 digits stands before each name, and a NUL behind it.
listed() {
    rest=1
    while :; do
        case $(tail -c "+$rest" -- "$1" | head -c 6 | od -An -v -tx1 | tr -d ' \n') in
            30373037303[12]*)
                tail -c "+$rest" -- "$1"
                end=$(tail -c "+$rest" -- "$1" | grep -a -b -o -m 1 'TRAILER!!!' | head -n 1 | cut -d : -f 1)
                if [ -z "$end" ]; then return 0; fi
                # The next archive begins where the zeros end, at a multiple of four.
                rest=$((rest + (end + 10 + 3) / 4 * 4))
                more=$(tail -c "+$rest" -- "$1" | od -An -v -tx1 -w4 | grep -n -m 1 -v '^ 00 00 00 00$' | cut -d : -f 1)
                if [ -z "$more" ]; then return 0; fi
                rest=$((rest + (more - 1) * 4))
                ;;
            1f8b*) tail -c "+$rest" -- "$1" | gzip -dc 2>/dev/null; return ;;
            28b52ffd*) tail -c "+$rest" -- "$1" | zstd -dc 2>/dev/null; return ;;
            fd377a58*) tail -c "+$rest" -- "$1" | xz -dc 2>/dev/null; return ;;
            04224d18* | 02214c18*) tail -c "+$rest" -- "$1" | lz4 -dc 2>/dev/null; return ;;
            425a68*) tail -c "+$rest" -- "$1" | bzip2 -dc 2>/dev/null; return ;;
            *) return 1 ;;
        esac
    done
}
for vmlinuz in "$ROOT"/boot/vmlinuz-* "$ROOT"/boot/vmlinux-* "$ROOT"/boot/Image-*; do
    version=${vmlinuz#"$ROOT"/boot/*-}
    case $version in '*' | *rescue*) continue ;; esac
    if [ ! -f "$vmlinuz" ]; then continue; fi
    modules=$ROOT/lib/modules/$version
    if [ ! -d "$modules" ]; then modules=$ROOT/usr/lib/modules/$version; fi
    initrd=
    for file in "$ROOT/boot/initrd.img-$version" "$ROOT/boot/initramfs-$version.img" "$ROOT/boot/initrd-$version"; do
        if [ -f "$file" ] && inside "$file"; then initrd=$file; break; fi
    done
    if [ -d "$modules" ] && inside "$modules"; then known=modules; else known=none; fi
    printf 'kernel %s %s %s\n' "$version" "$known" "${initrd#"$ROOT"}"
    names=
    if [ -n "$initrd" ]; then
        names=$(listed "$initrd" | tr '\000' '\n' | grep -a -o -E '07070[12][0-9A-Fa-f]{104}[^[:cntrl:]]+$' |
            cut -c 111- | sed -n 's|.*/\([^/]*\)\.ko.*|\1|p; /\/modules\.dep$/p; /\/init$/p; /^init$/p')
        if [ -z "$names" ]; then printf 'unread %s\n' "$version"; fi
    fi
    for module in virtio_pci virtio_blk virtio_net nvme; do
        dashed=$(printf %s "$module" | tr _ -)
        where=none
        if grep -q -E "/($module|$dashed)\.ko" "$modules/modules.builtin" 2>/dev/null; then
            where=builtin
        elif printf '%s\n' "$names" | grep -q -x -E "$module|$dashed"; then
            where=initramfs
        elif [ -n "$(find "$modules/" \( -name "$module.ko*" -o -name "$dashed.ko*" \) -print 2>/dev/null | head -n 1)" ]; then
            where=module
        fi
        printf 'driver %s %s %s\n' "$version" "$module" "$where"
    done
done
exit 0

# Takes out of a machine what must not be in an image. Everything is below $ROOT, which is
# empty for the machine itself; what is gone already is no error, so that the script can
# be repeated. What a running machine writes again by itself, logs and temporary files,
# is no change.

# holds FOLDER: whether more than folders is in it, on the same file system.
holds() {
    [ -n "$(find "$1" -xdev -mindepth 1 ! -type d -print 2>/dev/null | head -n 1)" ]
}

# empty FOLDERS: removes what is inside, across no mount, and leaves the folders.
empty() {
    for folder in "$@"; do
        if [ -d "$folder" ] && [ ! -L "$folder" ]; then
            find "$folder" -xdev -mindepth 1 -depth ! -type d -exec rm -f {} +
            find "$folder" -xdev -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || :
        fi
    done
}

# take FILES: removes files and links, and says so.
take() {
    for file in "$@"; do
        gone "$file"
    done
}

# clear FOLDERS: empties them, and says so.
clear() {
    for folder in "$@"; do
        if [ -d "$folder" ] && [ ! -L "$folder" ] && holds "$folder"; then
            empty "$folder"
            changed "emptied $folder"
        fi
    done
}

# homes FUNCTION: calls it with the homes of root and of people.
homes() {
    for home in "$ROOT"/root "$ROOT"/home/*; do
        if [ -d "$home" ]; then
            "$1" "$home"
        fi
    done
}

histories_of() {
    take "$1"/.*_history "$1/.lesshst" "$1/.viminfo" "$1/.wget-hsts"
}

keys_of() {
    take "$1/.ssh/authorized_keys" "$1/.ssh/authorized_keys2"
}

package_caches() {
    clear "$ROOT/var/cache/apt" "$ROOT/var/lib/apt/lists" "$ROOT/var/cache/dnf" \
        "$ROOT/var/cache/libdnf5" "$ROOT/var/cache/yum" "$ROOT/var/cache/zypp" \
        "$ROOT/var/cache/apk" "$ROOT/var/cache/PackageKit"
    if [ -d "$ROOT/var/lib/apt" ]; then
        mkdir -p "$ROOT/var/lib/apt/lists/partial" "$ROOT/var/cache/apt/archives/partial"
    fi
}

ssh_host_keys() {
    take "$ROOT"/etc/ssh/ssh_host_*_key "$ROOT"/etc/ssh/ssh_host_*_key.pub
    # sshd does not start without keys. cloud-init, the sshd-keygen units of Red Hat's
    # family and of SUSE and the script of OpenRC make them anew; where none of them is,
    # a unit of ours does.
    if [ -x "$ROOT/usr/sbin/sshd" ] && [ -d "$ROOT/etc/systemd/system" ] &&
        [ ! -e "$ROOT/usr/bin/cloud-init" ] && [ ! -e "$ROOT/usr/lib/systemd/system/sshd-keygen.target" ] &&
        [ ! -e "$ROOT/usr/sbin/sshd-gen-keys-start" ]; then
        put "$ROOT/etc/systemd/system/darkroom-ssh-keys.service" "$KEYS_UNIT"
        mkdir -p "$ROOT/etc/systemd/system/multi-user.target.wants"
        ln -sf ../darkroom-ssh-keys.service \
            "$ROOT/etc/systemd/system/multi-user.target.wants/darkroom-ssh-keys.service"
    fi
}

cloud_init() {
    if [ -d "$ROOT/var/lib/cloud" ]; then
        if [ -e "$ROOT/var/lib/cloud/instance" ] || [ -L "$ROOT/var/lib/cloud/instance" ]; then
            rm -rf "$ROOT/var/lib/cloud/instance"
            changed "removed $ROOT/var/lib/cloud/instance"
        fi
        clear "$ROOT/var/lib/cloud/instances" "$ROOT/var/lib/cloud/data" "$ROOT/var/lib/cloud/sem"
    fi
}

leases_and_seeds() {
    take "$ROOT"/var/lib/dhcp/*.leases "$ROOT"/var/lib/dhclient/*.leases \
        "$ROOT"/var/lib/dhcpcd/*.lease "$ROOT"/var/lib/wicked/lease-*.xml \
        "$ROOT"/var/lib/NetworkManager/*.lease "$ROOT"/var/lib/NetworkManager/secret_key \
        "$ROOT"/var/lib/NetworkManager/timestamps "$ROOT"/var/lib/NetworkManager/seen-bssids \
        "$ROOT"/etc/udev/rules.d/70-persistent-net.rules "$ROOT"/var/lib/yum/uuid \
        "$ROOT"/var/lib/systemd/random-seed "$ROOT"/var/lib/systemd/credential.secret
}

# The agent is what carries this script out, so it is taken away under its feet: it is not
# stopped, and the scripts of its package, which would, do not run.
agent() {
    if has rpm && rpm -q aliyun_assist >/dev/null 2>&1; then
        rpm -e --noscripts aliyun_assist
        changed 'removed the package aliyun_assist'
    fi
    if has dpkg-query && dpkg-query -W aliyun-assist >/dev/null 2>&1; then
        rm -f "$ROOT/var/lib/dpkg/info/aliyun-assist.prerm" "$ROOT/var/lib/dpkg/info/aliyun-assist.postrm"
        dpkg -r aliyun-assist
        changed 'removed the package aliyun-assist'
    fi
    for path in "$ROOT/usr/local/share/aliyun-assist" "$ROOT/usr/local/share/assist-daemon" \
        "$ROOT/usr/sbin/aliyun-service" "$ROOT/usr/sbin/aliyun_installer" "$ROOT/etc/init.d/aliyun-service" \
        "$ROOT/etc/systemd/system/aliyun.service" "$ROOT/etc/systemd/system/AssistDaemon.service" \
        "$ROOT/etc/systemd/system/multi-user.target.wants/aliyun.service" \
        "$ROOT/etc/systemd/system/multi-user.target.wants/AssistDaemon.service"; do
        if [ -e "$path" ] || [ -L "$path" ]; then
            rm -rf "$path"
            changed "removed $path"
        fi
    done
}

# The running journal goes back to memory, else it would write its files again. The
# folder stays: whether it is there decides whether a journal is kept.
logs() {
    if [ -z "$ROOT" ] && has journalctl; then
        journalctl --relinquish-var >/dev/null 2>&1 || :
    fi
    empty "$ROOT/var/log/journal"
    if [ -d "$ROOT/var/log" ]; then
        find "$ROOT/var/log" -xdev -type f \
            \( -name '*.gz' -o -name '*.xz' -o -name '*.zst' -o -name '*.old' -o -name '*.[0-9]' -o -name '*-20[0-9][0-9]*' \) \
            -exec rm -f {} +
        find "$ROOT/var/log" -xdev -type f -size +0 -exec sh -c 'for log in "$@"; do : >"$log"; done' sh {} +
    fi
}

# Emptied, not removed: an empty file is filled at boot, a missing one makes systemd take
# the boot for the very first one.
machine_id() {
    if [ -s "$ROOT/etc/machine-id" ]; then
        : >"$ROOT/etc/machine-id"
        changed "emptied $ROOT/etc/machine-id"
    fi
    if [ -f "$ROOT/var/lib/dbus/machine-id" ] && [ ! -L "$ROOT/var/lib/dbus/machine-id" ]; then
        ln -sf /etc/machine-id "$ROOT/var/lib/dbus/machine-id"
        changed "linked $ROOT/var/lib/dbus/machine-id"
    fi
}

# Tells the disk which blocks are free, so that a snapshot does not hold them. Not every
# disk listens.
trim() {
    if [ -z "$ROOT" ] && has fstrim; then
        fstrim -a 2>/dev/null || echo 'the disks take no trim'
    fi
}

package_caches
ssh_host_keys
cloud_init
leases_and_seeds
homes histories_of
if [ "$AUTHORIZED_KEYS" = yes ]; then
    homes keys_of
fi
clear "$ROOT/var/lib/systemd/coredump" "$ROOT/var/crash" "$ROOT/var/mail" "$ROOT/var/spool/mail"
if [ "$REMOVE_AGENT" = yes ]; then
    agent
fi
machine_id
empty "$ROOT/tmp" "$ROOT/var/tmp"
if [ "$KEEP_LOGS" = no ]; then
    logs
fi
sync
if [ "$TRIM" = yes ]; then
    trim
fi

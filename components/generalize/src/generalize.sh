# Takes out of a machine what must not be in an image. Everything is below $ROOT, which is
# empty for the machine itself; what is gone already is no error, so that the script can
# be repeated.
set -eu
export LC_ALL=C

# Removes what is inside folders, across no mount, and leaves the folders.
empty() {
    for folder in "$@"; do
        if [ -d "$folder" ] && [ ! -L "$folder" ]; then
            find "$folder" -xdev -mindepth 1 -depth ! -type d -exec rm -f {} +
            find "$folder" -xdev -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || :
        fi
    done
}

echo 'package caches'
empty "$ROOT/var/cache/apt" "$ROOT/var/lib/apt/lists" "$ROOT/var/cache/dnf" "$ROOT/var/cache/yum"
if [ -d "$ROOT/var/lib/apt" ]; then
    mkdir -p "$ROOT/var/lib/apt/lists/partial" "$ROOT/var/cache/apt/archives/partial"
fi

echo 'SSH host keys'
rm -f "$ROOT"/etc/ssh/ssh_host_*_key "$ROOT"/etc/ssh/ssh_host_*_key.pub
# sshd does not start without keys. cloud-init and the sshd-keygen units of Red Hat's
# family make them anew; where neither is there, a unit of ours does.
if [ -x "$ROOT/usr/sbin/sshd" ] && [ -d "$ROOT/etc/systemd/system" ] &&
    [ ! -e "$ROOT/usr/bin/cloud-init" ] && [ ! -e "$ROOT/usr/lib/systemd/system/sshd-keygen.target" ]; then
    cat >"$ROOT/etc/systemd/system/darkroom-ssh-keys.service" <<'UNIT'
[Unit]
Description=SSH host keys of this machine
Before=ssh.service sshd.service ssh.socket
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
UNIT
    mkdir -p "$ROOT/etc/systemd/system/multi-user.target.wants"
    ln -sf ../darkroom-ssh-keys.service \
        "$ROOT/etc/systemd/system/multi-user.target.wants/darkroom-ssh-keys.service"
fi

echo 'cloud-init'
if [ -d "$ROOT/var/lib/cloud" ]; then
    rm -rf "$ROOT/var/lib/cloud/instance"
    empty "$ROOT/var/lib/cloud/instances" "$ROOT/var/lib/cloud/data" "$ROOT/var/lib/cloud/sem"
fi

echo 'leases and seeds'
for file in "$ROOT"/var/lib/dhcp/*.leases "$ROOT"/var/lib/dhclient/*.leases \
    "$ROOT"/var/lib/NetworkManager/*.lease "$ROOT"/var/lib/NetworkManager/secret_key \
    "$ROOT"/etc/udev/rules.d/70-persistent-net.rules \
    "$ROOT"/var/lib/systemd/random-seed "$ROOT"/var/lib/systemd/credential.secret; do
    rm -f "$file"
done

echo 'histories'
for home in "$ROOT"/root "$ROOT"/home/*; do
    if [ -d "$home" ]; then
        rm -f "$home"/.*_history "$home/.lesshst" "$home/.viminfo" "$home/.wget-hsts"
    fi
done

echo 'temporary files'
empty "$ROOT/tmp" "$ROOT/var/tmp"

echo 'logs and journal'
# The running journal goes back to memory, else it would write its files again. The
# folder stays: whether it is there decides whether a journal is kept.
if [ -z "$ROOT" ] && command -v journalctl >/dev/null 2>&1; then
    journalctl --relinquish-var >/dev/null 2>&1 || :
fi
empty "$ROOT/var/log/journal"
if [ -d "$ROOT/var/log" ]; then
    find "$ROOT/var/log" -xdev -type f \
        \( -name '*.gz' -o -name '*.xz' -o -name '*.zst' -o -name '*.old' -o -name '*.[0-9]' -o -name '*-20[0-9][0-9]*' \) \
        -exec rm -f {} +
    find "$ROOT/var/log" -xdev -type f -size +0 -exec sh -c 'for log in "$@"; do : >"$log"; done' sh {} +
fi

echo 'machine id'
# Emptied, not removed: an empty file is filled at boot, a missing one makes systemd take
# the boot for the very first one.
if [ -e "$ROOT/etc/machine-id" ]; then
    : >"$ROOT/etc/machine-id"
fi
if [ -f "$ROOT/var/lib/dbus/machine-id" ] && [ ! -L "$ROOT/var/lib/dbus/machine-id" ]; then
    ln -sf /etc/machine-id "$ROOT/var/lib/dbus/machine-id"
fi
sync

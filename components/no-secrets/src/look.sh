# Looks for what must not be left in an image, and prints a word and a path for each find,
# never what is in a file. Reads only. The arguments are the folders to be searched for
# keys and tokens; everything else has its known places.
LC_ALL=C
export LC_ALL

say() { printf '%s %s\n' "$1" "$2"; }
has() { [ -f "$1" ] && grep -qE -e "$2" -- "$1" 2>/dev/null; }
# Whether a file was there before this boot. What a boot makes anew (host keys, the
# machine's id, the keys that the cloud hands out) is not the image's.
older() { [ -f "$1" ] && [ "$(stat -c %Y -- "$1")" -lt "$BEGUN" ]; }

# When the machine's first process started, in seconds; a container's is later than its
# kernel.
ticks=$(sed 's/^.*) //' /proc/1/stat | cut -d ' ' -f 20)
booted=$(sed -n 's/^btime //p' /proc/stat)
BEGUN=$((booted + ticks / $(getconf CLK_TCK 2>/dev/null || echo 100) - 2))

# Homes of everybody.
homes=$( { echo /root; cut -d : -f 6 /etc/passwd; ls -d /home/* 2>/dev/null; } | sort -u |
    while IFS= read -r home; do
        case $home in / | /proc | /sys | /dev | /run | /bin | /usr/* | '') ;; *) if [ -d "$home" ]; then printf '%s\n' "$home"; fi ;; esac
    done)
each_home() { printf '%s\n' "$homes"; }

# Keys and tokens in files of up to a megabyte.
BEGIN='-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----'
TOKENS='(^|[^A-Za-z0-9])((AKIA|ASIA)[0-9A-Z]{16}|LTAI[0-9A-Za-z]{12,26}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40}|glpat-[A-Za-z0-9_-]{20}|xox[abprs]-[A-Za-z0-9-]{20}|sk_live_[A-Za-z0-9]{20}|AIza[0-9A-Za-z_-]{35}|hvs\.[A-Za-z0-9_-]{24})([^A-Za-z0-9]|$)'
for folder; do
    if [ -d "$folder" ]; then
        find "$folder" -xdev \( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/rpm \
            -o -path /var/cache -o -path /var/lib/darkroom -o -path '/etc/ssh/ssh_host_*' \) -prune -o \
            -type f -size -2048 -exec grep -lIE -e "$BEGIN" {} + 2>/dev/null | sed 's/^/key /'
        find "$folder" -xdev \( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/rpm \
            -o -path /var/cache -o -path /var/lib/darkroom \) -prune -o \
            -type f -size -2048 -exec grep -lIE -e "$TOKENS" {} + 2>/dev/null | sed 's/^/token /'
    fi
done

# A hash of a password: the second field is neither empty nor locked.
for file in /etc/shadow /etc/shadow- /etc/passwd /etc/passwd- /etc/gshadow /etc/gshadow-; do
    if [ -r "$file" ]; then
        awk -F : -v file="$file" '$2 ~ /^(\$|_|[.\/0-9A-Za-z]{13}$)/ { print "password " file ": " $1 }' "$file"
    fi
done

each_home | while IFS= read -r home; do
    for file in authorized_keys authorized_keys2; do
        path=$home/.ssh/$file
        if older "$path" && has "$path" '^[[:space:]]*[^#[:space:]]'; then say authorized "$path"; fi
    done
    # Files that hold nothing but a secret, or a setting that is one.
    for file in .aws/credentials .config/gcloud/credentials.db .config/gcloud/application_default_credentials.json \
        .azure/accessTokens.json .azure/msal_token_cache.json .ossutilconfig .s3cfg .boto .netrc .git-credentials \
        .pgpass .pypirc .vault-token .terraform.d/credentials.tfrc.json .config/rclone/rclone.conf \
        .config/gh/hosts.yml .config/hub .gem/credentials .cargo/credentials .cargo/credentials.toml \
        .kube/config .smbcredentials; do
        if [ -s "$home/$file" ]; then say credentials "$home/$file"; fi
    done
    if has "$home/.aliyun/config.json" '"(access_key_secret|sts_token|private_key)": *"[^"]'; then say credentials "$home/.aliyun/config.json"; fi
    if has "$home/.aws/config" '^[[:space:]]*aws_secret_access_key'; then say credentials "$home/.aws/config"; fi
    if has "$home/.docker/config.json" '"(auth|identitytoken|password)": *"[^"]'; then say credentials "$home/.docker/config.json"; fi
    if has "$home/.npmrc" '(_authToken|_auth|_password)[[:space:]]*='; then say credentials "$home/.npmrc"; fi
    if has "$home/.my.cnf" '^[[:space:]]*password[[:space:]]*='; then say credentials "$home/.my.cnf"; fi
    for file in .bash_history .zsh_history .zhistory .ash_history .sh_history .history .python_history \
        .mysql_history .psql_history .sqlite_history .rediscli_history .node_repl_history \
        .local/share/fish/fish_history; do
        if [ -s "$home/$file" ]; then say history "$home/$file"; fi
    done
done
if [ -s /etc/docker/key.json ]; then say credentials /etc/docker/key.json; fi

# A variable whose name says that it is a secret, with a value that is not another's.
ASSIGNED='^[[:space:]]*(export[[:space:]]+|setenv[[:space:]]+|set[[:space:]]+-g?x[[:space:]]+)?[A-Za-z_0-9]*(TOKEN|SECRET|PASSWORD|PASSWD|ACCESS_KEY|ACCESS_KEY_ID|API_KEY|APIKEY|PRIVATE_KEY|CREDENTIALS?)[A-Za-z_0-9]*([[:space:]]*=[[:space:]]*|[[:space:]]+)["'\'']?[^"'\''$`[:space:]/]'
{
    each_home | while IFS= read -r home; do
        for file in .profile .bashrc .bash_profile .bash_login .zshrc .zshenv .zprofile .cshrc .tcshrc .kshrc .config/fish/config.fish; do
            printf '%s\n' "$home/$file"
        done
    done
    printf '%s\n' /etc/environment /etc/profile /etc/bash.bashrc /etc/bashrc /etc/zshrc /etc/zsh/zshrc
    find /etc/profile.d /etc/environment.d /etc/default /etc/sysconfig -type f 2>/dev/null
} | while IFS= read -r file; do
    if has "$file" "$ASSIGNED"; then say variable "$file"; fi
done

for file in /etc/ssh/ssh_host_*_key /etc/dropbear/dropbear_*_host_key; do
    if older "$file"; then say host-key "$file"; fi
done
if [ -s /etc/machine-id ]; then
    if older /etc/machine-id && ! grep -qx uninitialized /etc/machine-id; then say machine-id /etc/machine-id; fi
else
    say no-machine-id /etc/machine-id
fi
if [ -f /var/lib/dbus/machine-id ] && [ ! -L /var/lib/dbus/machine-id ] && older /var/lib/dbus/machine-id; then
    say machine-id /var/lib/dbus/machine-id
fi
# The receipts of the image's own build; those of this test are younger than the boot.
if [ -d /var/lib/darkroom ]; then
    find /var/lib/darkroom -type f 2>/dev/null | while IFS= read -r file; do
        if older "$file"; then say receipt "$file"; fi
    done
fi
exit 0

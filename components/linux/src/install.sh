# Installs the packages named by the arguments with the machine's own manager, tried for
# five minutes at most: a machine without a way to its repositories is no reason to wait.
set -u
if command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    timeout 120 apt-get update -q -o Acquire::Retries=0 -o Acquire::http::Timeout=20 &&
        timeout 180 apt-get install -y -q --no-install-recommends -- "$@"
elif command -v dnf >/dev/null 2>&1; then
    timeout 300 dnf install -y -q --setopt=timeout=20 -- "$@"
elif command -v yum >/dev/null 2>&1; then
    timeout 300 yum install -y -q -- "$@"
elif command -v zypper >/dev/null 2>&1; then
    timeout 300 zypper --non-interactive install -- "$@"
else
    echo 'no package manager that is known here'
    exit 1
fi

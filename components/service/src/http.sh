# Waits for the answer to GET with curl, wget or bash, whichever the image has. Exit code
# 77: it has none of them. Ends with 1 where the answer is another one.
# Below /run, which no disk holds, where that is allowed.
folder=$(mktemp -d -p /run 2>/dev/null || mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

# Writes the body to $folder/body; `status` is the answer's.
ask() {
    : >"$folder/body"
    if command -v curl >/dev/null 2>&1; then
        status=$(curl -sS --noproxy '*' --max-time 10 -o "$folder/body" -w '%{http_code}' -- "http://127.0.0.1:$PORT$PAGE" 2>"$folder/error") || status=none
    elif command -v wget >/dev/null 2>&1; then
        env -u http_proxy wget -q -S --tries=1 --timeout=10 --max-redirect=0 --content-on-error -O "$folder/body" -- "http://127.0.0.1:$PORT$PAGE" 2>"$folder/error" || :
        status=$(sed -n 's|^ *HTTP/[0-9.]* \([0-9]*\).*|\1|p' "$folder/error" | head -n 1)
    elif command -v bash >/dev/null 2>&1; then
        timeout 10 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$PORT" && printf "GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" "$PAGE" >&3 && cat <&3' >"$folder/body" 2>"$folder/error"
        status=$(sed -n '1s|^HTTP/[0-9.]* \([0-9]*\).*|\1|p' "$folder/body")
    else
        echo 'this image has neither curl nor wget nor bash'
        exit 77
    fi
}
holds() {
    ask
    [ "$status" = "$STATUS" ] || return 1
    [ -z "$CONTAINS" ] || grep -Fq -- "$CONTAINS" "$folder/body"
}
left=$WAIT
until holds; do
    if [ "$left" -le 0 ]; then
        if [ "$status" = "$STATUS" ]; then
            printf 'the answer does not contain %s; it begins with:\n' "$CONTAINS"
            head -c 500 "$folder/body"
        else
            printf 'the status is %s\n' "${status:-none}"
            head -c 500 "$folder/error"
        fi
        exit 1
    fi
    left=$((left - 1))
    sleep 1
done
printf 'the status is %s\n' "$status"

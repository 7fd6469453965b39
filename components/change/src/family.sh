# family: prints the family of distributions that os-release names: debian, rhel, suse or
# alpine. An ID that is not known is judged by what it says that it is like.
family() {
    family_file=$ROOT/etc/os-release
    if [ ! -e "$family_file" ]; then
        family_file=$ROOT/usr/lib/os-release
    fi
    if [ ! -e "$family_file" ]; then
        fail 'this machine has no /etc/os-release, so nobody can tell what it is'
    fi
    for family_id in $(sed -n "s/^ID=//p; s/^ID_LIKE=//p" "$family_file" | tr -d "\"'" | tr '[:upper:]' '[:lower:]'); do
        case $family_id in
            debian | ubuntu) echo debian ;;
            rhel | centos | fedora | rocky | almalinux | ol | amzn | alinux | aliyun | anolis | openeuler | tencentos) echo rhel ;;
            suse | sles | sled | opensuse*) echo suse ;;
            alpine) echo alpine ;;
            *) continue ;;
        esac
        return 0
    done
    family_id=$(sed -n 's/^ID=//p' "$family_file" | tr -d "\"'")
    fail "this machine is ${family_id:-unknown}: known are Debian, Red Hat, SUSE and Alpine and what is like them"
}


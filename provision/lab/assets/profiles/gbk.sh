#!/bin/sh
# A host that speaks GBK: locale zh_CN.GBK, a long message of the day, and login files that print.
# packages: locales

set -eu
[ -e /usr/lib/locale/zh_CN.gbk ] || localedef -i zh_CN -f GBK --no-archive /usr/lib/locale/zh_CN.gbk
printf 'LANG=zh_CN.GBK\nLC_ALL=zh_CN.GBK\n' >/etc/default/locale
greeting=$(printf '\273\266\323\255\312\271\323\303') # 欢迎使用, welcome
for line in $(seq 200); do
    printf '%s %s %s\n' "$greeting" "$(hostname)" "$line"
done >/etc/motd
# Debian's bash reads .bashrc for a command that comes over SSH, too.
for file in .bashrc .profile .bash_profile; do
    cat >"/home/ops/$file" <<FILE
echo "$greeting $file"
echo "$greeting $file" >&2
FILE
    chown ops: "/home/ops/$file"
done

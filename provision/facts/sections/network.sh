# The names that are asked for, all at once; then who listens.
if [ $# -gt 0 ] && ! command -v getent >/dev/null; then echo 'no getent'; fi
for name; do
    timeout -k 1 5 getent ahosts "$name" >/dev/null || echo "unresolved $name" &
done
wait
if command -v ss >/dev/null; then
    ss -l -t -n -p | head -n 1000 | sed 's/  */ /g'
else
    cat /proc/net/tcp /proc/net/tcp6 | grep ' 0A ' | head -n 1000 | sed 's/^  *//' | cut -d ' ' -f 2
fi

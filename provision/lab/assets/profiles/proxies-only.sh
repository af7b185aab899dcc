# A host that neither reaches nor resolves the mirrors: the proxy on the lab is its one way out.
# inventory: proxies.apt: http://$LAB_MIRROR:3128
# inventory: proxies.docker: http://$LAB_MIRROR:3128
# inventory: proxies.no_proxy: ["10.0.0.0/8"]
set -eu
for port in 80 443; do
    set -- OUTPUT --destination "$LAB_MIRROR" --protocol tcp --dport "$port" --jump REJECT
    iptables --check "$@" 2>/dev/null || iptables --append "$@"
done
names=$(grep -v "^$LAB_MIRROR " /etc/hosts)
printf '%s\n' "$names" >/etc/hosts

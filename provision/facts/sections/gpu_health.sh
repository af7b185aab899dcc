# What nvidia-smi knows of the GPUs, without the hundreds of lines that nobody judges.
log=$(nvidia-smi -q -x 2>&1 | head -c 4000000 | sed -n -E \
    -e 's/^[[:space:]]+//; /[>]Not Active[<]/d' \
    -e '/^[^<]/p' \
    -e '/^<\/?(nvidia_smi_log|gpu|product_(name|brand|architecture)|persistence_mode|uuid)[ >]/p' \
    -e '/^<\/?(mig_(mode|devices|device)|current_mig|gpu_recovery_action|pci|pci_gpu_link_info)>/p' \
    -e '/^<\/?(pcie_gen|link_widths|(max|current)_link_(gen|width)|max_device_link_gen)>/p' \
    -e '/^<\/?clocks_(event|throttle)_reason(s|_[a-z_]*)>/p' \
    -e '/^<\/?(fb_memory_usage|total|used|free|utilization|gpu_util|temperature|gpu_temp)>/p' \
    -e '/^<\/?(ecc_mode|(current|pending)_ecc|ecc_errors|volatile|aggregate)>/p' \
    -e '/^<\/?((single|double)_bit|[ds]ram_(un)?correctable[a-z_]*)>/p' \
    -e '/^<\/?(retired_pages|pending_retirement|remapped_rows|remapped_row_(pending|failure))>/p' \
    -e '/^<\/?((gpu_|module_)?power_readings|((current|default)_)?power_limit)>/p' \
    -e '/^<\/?(clocks|max_clocks|sm_clock|fabric|state|status)>/p' \
    -e '/^<\/?(processes|process_info|pid|process_name|used_memory)>/p' | head -c 300000)
printf '%s\n' "$log"
echo '--- links'
nvidia-smi nvlink -s 2>&1 | grep -E '^GPU |Link [0-9]+:|all links are in[aA]ctive' | head -n 2000
echo '--- processes'
for pid in $(printf '%s\n' "$log" | sed -n 's/^<pid>\([0-9]*\)<.*/\1/p' | sort -u | head -n 200); do
    id=$(grep -o '[0-9a-f]\{64\}' "/proc/$pid/cgroup" | head -n 1)
    [ -n "$id" ] && echo "$pid $id"
done

# A host on which unattended upgrades have just begun (a STAND-IN of their name holds apt's and dpkg's locks for a minute).
set -eu
unit=unattended-upgrades-stand-in
! systemctl is-active --quiet "$unit" || exit 0
rm -f "/run/$unit"
cat >"/usr/local/sbin/$unit" <<'PERL'
#!/usr/bin/perl
use strict;
use warnings;
use Fcntl;

$0 = 'unattended-upgr';    # as the process list has the real one
my $whole = pack 's s x4 q q i x4', F_WRLCK, 0, 0, 0, 0;
my @held;
for my $name (qw(dpkg/lock-frontend dpkg/lock apt/lists/lock)) {
    open my $file, '>>', "/var/lib/$name" or die "$name: $!\n";
    fcntl $file, F_SETLK, $whole or die "$name: $!\n";
    push @held, $file;
}
open my $mark, '>', $ARGV[0] or die "$ARGV[0]: $!\n";
close $mark;
sleep 60;
PERL
chmod 755 "/usr/local/sbin/$unit"
systemd-run --quiet --collect --unit="$unit" "/usr/local/sbin/$unit" "/run/$unit"
tries=0
until [ -e "/run/$unit" ]; do
    [ "$((tries += 1))" -le 50 ] || exit 1
    sleep 0.1
done

# shellcheck shell=bash
# The destinations: one program that answers at every address of dest.tsv.
mkdir -p /etc/destd/pki /var/spool/destd
cp /mnt/pki/*.pem /mnt/pki/*.key /etc/destd/pki/
cp /mnt/tables/dest.tsv /etc/destd/dest.tsv
cp /mnt/lab/inside/destd.py /usr/local/lib/lab/destd.py
# a black hole and a host that does not exist have no address of their own here
awk -F'\t' '!/^#/ && NF && $3 != "blackhole" && $3 != "noroute" { print $2 }' /etc/destd/dest.tsv > /etc/destd/addresses

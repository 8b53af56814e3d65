#!/bin/bash
# What somebody changed by hand between two pushes is told field by field and file by file, never overwritten in silence, and
# has three ways out; the administrator's own edits beside ours are no drift and survive a second push and the undo byte for byte.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"
main_cf=/etc/postfix/main.cf
edit() { "$lab" exec mx1 sed -i "$1" "${2:-$main_cf}"; }
postconf() { "$lab" exec mx1 postconf -h "$1" | head -n 1; }
kind() { mx --json drift mx1 --no-shadow > "$work/drift" 2> "$work/drift.err"; jq -r --arg n "$1" '.fields[] | select(.name == $n) | .kind' "$work/drift"; }

chapter "as pushed"
known_host mx1
quiet vs set mx1 outbound.tls=encrypt outbound.retry.max=50m --yes
quiet connector add bank --domain bank.test --tls none --via mx1
prove "edited and not pushed is told as that" is "$(kind outbound.tls)" edited
quiet push mx1 --yes --no-shadow
prove "nothing differs after a push" status_is 0 drift mx1

chapter "the administrator edits beside ours"
"$lab" exec mx1 sh -c "cp $main_cf /root/pushed && { printf '# mine, before\nmessage_size_limit = 20480000\n\n'; cat /root/pushed;
    printf '# mine, after\nmaximal_queue_lifetime =\n  # between\n   4d\n'; } > $main_cf && sed -i 's/^mynetworks = .*/&\n\t192.0.2.0\/24/' $main_cf"
quiet server read mx1
prove "is no drift" status_is 0 drift mx1
mine=$("$lab" exec mx1 sh -c "cat $main_cf")
quiet vs set mx1 outbound.tls=may
quiet push mx1 --yes --no-shadow
prove "the second push keeps every byte of his" is "$("$lab" exec mx1 sed 's/^smtp_tls_security_level = may$/smtp_tls_security_level = encrypt/;s|/etc/mxseal/2/|/etc/mxseal/1/|' $main_cf)" "$mine"
quiet undo mx1
prove "and the undo of it" is "$("$lab" exec mx1 cat $main_cf)" "$mine"
quiet push mx1 --yes --no-shadow

chapter "somebody changes what is ours"
edit 's/^smtp_tls_security_level = .*/smtp_tls_security_level = none/'
map=$(postconf smtp_tls_policy_maps | sed 's/^texthash://')
"$lab" exec mx1 sh -c "echo 'shop.test secure' >> $map"
prove "status 1" status_is 1 drift mx1
prove "the field was changed there" is "$(kind outbound.tls)" changed
prove "so was our file" is "$(kind "$map")" file
told() { grep -qF -e "$1" "$work/out" "$work/err"; }
status_is 1 drift mx1
prove "with a difference of that file" told "+shop.test secure"
mx plan mx1 > "$work/out"
prove "a plan names the field" told "outbound.tls of smtp was changed on the host since the last push, to none: this puts it back to may"
prove "and the file" told "$map was changed by hand since the last push (edited)"
mx check > "$work/out"
prove "it needs attention" told "2 things were changed on the host since the last push"
prove "it is no edit of ours" is "$(mx --json edits | jq '[.edits[] | select(.pushed | not)] | length')" 0

chapter "ways out"
show drift mx1 --leave outbound.tls
prove "left so" is "$(kind outbound.tls)" left
quiet push mx1 --yes --no-shadow
prove "a push lets it be" is "$(postconf smtp_tls_security_level)" none
prove "and has put our file back" is "$("$lab" exec mx1 sh -c 'grep -c shop.test /etc/mxseal/*/tls_policy | tail -n 1' | sed 's/.*://')" 0
prove "that is as wanted" status_is 0 drift mx1
show drift mx1 --unleave outbound.tls
prove "taken back, it is a change again" is "$(kind outbound.tls)" changed
show drift mx1 --leave outbound.tls
prove "and can be left again" status_is 0 drift mx1
edit 's/^smtp_tls_security_level = .*/smtp_tls_security_level = encrypt/'
prove "until it changes again" is "$(kind outbound.tls)" changed
show drift mx1 --take outbound.tls
prove "taken over, it is what is wanted" is "$(mx --json vs show mx1 | jq -r '.settings["outbound.tls"].wanted')" encrypt
prove "nothing differs" status_is 0 drift mx1
show edits undo
prove "that is undone like every edit" is "$(mx --json vs show mx1 | jq -r '.settings["outbound.tls"].wanted')" may
quiet push mx1 --yes --no-shadow
prove "and a push puts back what is wanted" is "$(postconf smtp_tls_security_level)" may
"$lab" exec mx1 postconf -e "smtp_tls_policy_maps="
prove "our table taken out of the list is told" is "$(kind $main_cf)" file
quiet push mx1 --yes --no-shadow
prove "a push puts it back" grep -q texthash:/etc/mxseal/ <(postconf smtp_tls_policy_maps)

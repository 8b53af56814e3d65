#!/usr/bin/perl
# crash_states.pl ROOT BEFORE LOG OUT DRAWS [STATE] - what a disk may hold when the power goes: replays the file operations that strace
# recorded (LOG: strace -f -y -xx) on a model of the tree ROOT, whose state before them is the copy BEFORE, and writes every
# distinct state that may be found after every prefix into OUT/N/, and what it is into OUT/N.why. Prints counts.
#
# Nothing is known to be on the disk but what was synced: the content, mode and owner of a file by fsync of the file, the names
# in a directory by fsync of the directory, all by sync. What was not synced may be there or not. After each prefix these are
# taken: all of it (a killed program); none of it; all names but no content (a new file is empty); all content but no
# names; and DRAWS in which each directory and each file decides for itself. States that differ only in what nobody reads
# after a crash count as one. STATE: only from when the journal has a line of it.
use strict;
use warnings;

my ($root, $before, $log, $out, $draws, $after) = @ARGV;
srand(7);

# --- the model: a node is {dir, mode, uid, gid, data | names} and, behind "disk", what of it is synced
my (%node, $next_id);
sub node_new { my ($dir, $mode, $uid, $gid) = @_; $node{++$next_id} = { dir => $dir, mode => $mode, uid => $uid, gid => $gid, data => '', names => {} }; return $next_id }
sub synced { my $n = $node{$_[0]}; $n->{disk} = { mode => $n->{mode}, uid => $n->{uid}, gid => $n->{gid}, data => $n->{data}, names => { %{ $n->{names} } } } }
sub load {
	my ($path) = @_;
	my @st = lstat $path or die "$path: $!";
	if (-l $path) { my $id = node_new(0, 'link', $st[4], $st[5]); $node{$id}{data} = readlink $path; synced($id); return $id }
	my $id = node_new(-d $path ? 1 : 0, $st[2] & 07777, $st[4], $st[5]);
	if (-d $path) {
		opendir my $d, $path or die;
		$node{$id}{names}{$_} = load("$path/$_") for grep { !/^\.\.?$/ } readdir $d;
	} elsif (-f $path) {
		open my $f, '<:raw', $path or die "$path: $!";
		local $/; $node{$id}{data} = <$f> // '';
	}
	synced($id);
	return $id;
}
my $top = load($before);

sub inside { my $p = $_[0]; return unless defined $p && ($p eq $root || index($p, "$root/") == 0); return substr($p, length $root) }
sub walk { # PATH: the node, following links of the model
	my ($path, $depth) = (@_, 0);
	my $id = $top;
	my @done;
	my @words = grep { length && $_ ne '.' } split m{/}, $path;
	while (@words) {
		my $w = shift @words;
		if ($w eq '..') { pop @done; return walk(join('/', @done, @words), $depth) }
		$id = $node{$id}{names}{$w} // return;
		push @done, $w;
		if ($node{$id}{mode} eq 'link' && @words) {
			return if $depth > 20;
			my $to = $node{$id}{data};
			pop @done;
			$to = $to =~ m{^\Q$root\E(/.*)} ? $1 : join('/', @done, $to);
			return walk(join('/', $to, @words), $depth + 1);
		}
	}
	return $id;
}
sub follow { my $id = walk($_[0]); my $p = $_[0];
	for (1 .. 20) { return ($id, $p) unless defined $id && $node{$id}{mode} eq 'link';
		my $to = $node{$id}{data}; (my $d = $p) =~ s{/[^/]*$}{}; $p = $to =~ m{^\Q$root\E(/.*)} ? $1 : "$d/$to"; $id = walk($p) }
	return ($id, $p) }
sub parent { my ($p) = @_; $p =~ s{/+$}{}; my ($dir, $name) = $p =~ m{^(.*)/([^/]*)$}; return (scalar walk($dir), $name) }

# --- states
my (%seen, $states);
my $idle = qr{/(lock\.\w+|out\.\d+|timer[.\w]*|reserve|ran|script|watch[.\w]*|[^/]*\.part)$};
sub draw { # HOW: a function from node to what of it is taken: 0 the disk's, 1 the present
	my ($names, $data) = @_;
	my %tree;
	my $take; $take = sub {
		my ($id, $path) = @_;
		my $n = $node{$id};
		my $m = ($n->{disk} && !$data->($id)) ? $n->{disk} : $n;
		my $content = $data->($id) ? $n->{data} : $n->{disk} ? $n->{disk}{data} : '';
		$tree{$path} = [ $n->{dir}, $m->{mode}, $m->{uid}, $m->{gid}, $content ];
		return unless $n->{dir};
		my $e = $names->($id) ? $n->{names} : $n->{disk} ? $n->{disk}{names} : {};
		$take->($e->{$_}, "$path/$_") for keys %$e;
	};
	$take->($top, '');
	return \%tree;
}
sub emit {
	my ($tree, $why) = @_;
	my $sum = join "\0", map { ($_, @{ $tree->{$_} }) } grep { !/$idle/ } sort keys %$tree;
	return if $seen{$sum}++;
	my $dir = "$out/" . ++$states;
	for my $p (sort keys %$tree) {
		my ($is_dir, $mode, $uid, $gid, $data) = @{ $tree->{$p} };
		if ($is_dir) { mkdir "$dir$p" or die "$dir$p: $!" }
		elsif ($mode eq 'link') { symlink $data, "$dir$p" or die; next }
		else { open my $f, '>:raw', "$dir$p" or die "$dir$p: $!"; print $f $data; close $f or die }
		chown $uid, $gid, "$dir$p" if $> == 0;
		chmod $mode, "$dir$p";
	}
	open my $f, '>', "$dir.why"; print $f "$why\n"; close $f;
}
sub all_states {
	my ($why) = @_;
	if ($after) {
		my $journal = walk('/var/lib/mxseal/journal');
		return unless defined $journal && $node{$journal}{data} =~ / $after /;
	}
	my ($yes, $no) = (sub { 1 }, sub { 0 });
	my @take = ([ $yes, $yes, 'killed' ], [ $no, $no, 'what was not synced is lost' ], [ $yes, $no, 'content that was not synced is lost' ],
		[ $no, $yes, 'names that were not synced are lost' ]);
	for my $i (1 .. $draws) {
		my %coin;
		my $c = sub { $coin{ $_[0] } //= int rand 2 };
		my %other;
		push @take, [ $c, sub { $other{ $_[0] } //= int rand 2 }, "draw $i" ];
	}
	emit(draw($_->[0], $_->[1]), "$why: $_->[2]") for @take;
}

# --- the log
sub plain { my $s = $_[0]; $s =~ s/\\x([0-9a-f]{2})/chr hex $1/ge; return $s }
my (%unfinished, %offset, $ops);
my %cwd;                       # only mkdir -p changes it
sub at_path { # DIRFD-PART NAME
	my ($fd, $name) = @_;
	return $name if $name =~ m{^/};
	return $fd =~ /<(.*)>/ ? plain($1) . "/$name" : undef;
}
sub fd_path { my ($fd) = @_; return if $fd =~ /\(deleted\)/; return $fd =~ /^\d+<(.*)>$/ ? plain($1) : undef }
sub apply {
	my ($pid, $call, $args, $ret) = @_;
	my @s = map { plain($_) } $args =~ /"([^"]*)"/g;
	my @a = split /, /, $args;
	if ($call eq 'chdir') { $cwd{$pid} = $s[0] =~ m{^/} ? $s[0] : "$cwd{$pid}/$s[0]"; return 0 }
	if ($call eq 'fchdir') { $cwd{$pid} = fd_path($a[0]); return 0 }
	if ($call =~ /^(open|openat|creat)$/) {
		my $p = $call eq 'openat' ? at_path($a[0], $s[0]) : $s[0];
		my ($fd) = $ret =~ /^(\d+)/;
		$offset{"$pid:$fd"} = 0;
		defined($p = inside($p)) or return 0;
		my ($id, $real) = follow($p);
		if (!defined $id) {
			return 0 unless $args =~ /O_CREAT/;
			my ($dir, $name) = parent($real);
			my ($mode) = $args =~ /, (0\d*)$/;
			$node{$dir}{names}{$name} = node_new(0, oct($mode // '0666') & ~077, $>, $>);       # umask of the script; set by chmod else
			return 1;
		}
		if ($args =~ /O_TRUNC/ && $node{$id}{data} ne '') { $node{$id}{data} = ''; return 1 }
		return 0;
	}
	if ($call =~ /^p?write(64)?$/) {
		my $p = inside(fd_path($a[0])) // return 0;
		my $id = walk($p) // return 0;
		$node{$id}{data} .= substr($s[0], 0, $ret);
		return 1;
	}
	if ($call eq 'copy_file_range') {
		my ($from, $to) = (inside(fd_path($a[0])), inside(fd_path($a[2])));
		return 0 unless $ret > 0 && defined $to && defined(my $id = walk($to));
		die "copy from outside: $args" unless defined $from && defined(my $src = walk($from));
		my ($fd) = $a[0] =~ /^(\d+)/;
		$node{$id}{data} .= substr($node{$src}{data}, $offset{"$pid:$fd"} // 0, $ret);
		$offset{"$pid:$fd"} += $ret;
		return 1;
	}
	if ($call =~ /^rename/) {
		my ($f, $t) = $call eq 'rename' ? @s : (at_path($a[0], $s[0]), at_path($a[2], $s[1]));
		defined($f = inside($f)) && defined($t = inside($t)) or return 0;
		my ($fd, $fn) = parent($f); my ($td, $tn) = parent($t);
		$node{$td}{names}{$tn} = delete $node{$fd}{names}{$fn};
		return 1;
	}
	if ($call =~ /^(unlink|unlinkat|rmdir)$/) {
		my $p = inside($call eq 'unlinkat' ? at_path($a[0], $s[0]) : $s[0]) // return 0;
		my ($d, $n) = parent($p);
		delete $node{$d}{names}{$n};
		return 1;
	}
	if ($call =~ /^mkdir(at)?$/) {
		my $p = inside($call eq 'mkdirat' ? at_path($a[0], $s[0]) : $s[0] =~ m{^/} ? $s[0] : "$cwd{$pid}/$s[0]") // return 0;
		my ($d, $n) = parent($p);
		$node{$d}{names}{$n} = node_new(1, 0700, $>, $>);
		return 1;
	}
	if ($call =~ /^(link|linkat)$/) {
		my ($f, $t) = $call eq 'link' ? @s : (at_path($a[0], $s[0]), at_path($a[2], $s[1]));
		defined($f = inside($f)) && defined($t = inside($t)) or return 0;
		my ($d, $n) = parent($t);
		$node{$d}{names}{$n} = walk($f);
		return 1;
	}
	if ($call =~ /^symlink(at)?$/) {
		my $p = inside($call eq 'symlinkat' ? at_path($a[1], $s[1]) : $s[1]) // return 0;
		my ($d, $n) = parent($p);
		my $id = node_new(0, 'link', $>, $>);
		$node{$id}{data} = $s[0];
		$node{$d}{names}{$n} = $id;
		return 1;
	}
	if ($call =~ /^f?chmod(at2?)?$/) {
		my $p = inside($call =~ /^f/ && $call !~ /at/ ? fd_path($a[0]) : $call =~ /at/ ? at_path($a[0], $s[0]) : $s[0]) // return 0;
		my ($id) = follow($p); return 0 unless defined $id;
		my ($mode) = $args =~ /, (0\d*)(?:, \w+)?$/;
		$node{$id}{mode} = oct $mode;
		return 1;
	}
	if ($call =~ /^[fl]?chown(at)?$/) {
		my $p = inside($call eq 'fchown' ? fd_path($a[0]) : $call =~ /at/ ? at_path($a[0], $s[0]) : $s[0]) // return 0;
		my ($id) = follow($p); return 0 unless defined $id;
		my ($uid, $gid) = $args =~ /, (-?\d+), (-?\d+)(?:, \w+)?$/;
		$node{$id}{uid} = $uid if $uid >= 0;
		$node{$id}{gid} = $gid if $gid >= 0;
		return 1;
	}
	if ($call =~ /^f?setxattr$/ && $s[-2] eq 'system.posix_acl_access') {     # cp sets a mode so
		my $p = inside($call eq 'fsetxattr' ? fd_path($a[0]) : $s[0]) // return 0;
		my ($id) = follow($p); return 0 unless defined $id;
		my %perm;
		for (my $acl = substr $s[-1], 4; length $acl >= 8; $acl = substr $acl, 8) {
			my ($tag, $perm) = unpack 'vv', $acl;
			$perm{$tag} = $perm;
		}
		$node{$id}{mode} = ($perm{1} << 6) | (($perm{16} // $perm{4}) << 3) | $perm{32};
		return 1;
	}
	if ($call =~ /^f(data)?sync$/) {
		my $p = inside(fd_path($a[0])) // return 0;
		my $id = walk($p) // return 0;
		synced($id);
		return 1;
	}
	if ($call =~ /^sync(fs)?$/) { synced($_) for keys %node; return 1 }
	if ($call =~ /^f?truncate$/) { die "not in the model: $call($args)" if defined inside($call =~ /^f/ ? fd_path($a[0]) : $s[0]); return 0 }
	if ($call =~ /^(pwritev2?|writev|sendfile|splice)$/) { die "not in the model: $call($args)" if defined inside(fd_path($a[$call eq 'splice' ? 2 : 0])); return 0 }
	return 0;
}

all_states('before everything');
open my $f, '<', $log or die "$log: $!";
while (my $line = <$f>) {
	my ($pid, $rest) = $line =~ /^(\d+) +(.*)$/ or next;
	if ($rest =~ /^(\w+)\((.*) <unfinished \.\.\.>$/) { $unfinished{$pid} = "$1($2"; next }
	if ($rest =~ /^<\.\.\. \w+ resumed>(.*)$/) { my $r = $1; my $u = delete $unfinished{$pid} // next; $rest = $u . $r }
	my ($call, $args, $ret) = $rest =~ /^(\w+)\((.*)\)\s+= (\S+.*)$/ or next;
	next if $ret =~ /^-1|^\?/;
	$ret =~ s/^(\d+).*/$1/;
	next unless apply($pid, $call, $args, $ret);
	$ops++;
	(my $short = $call) =~ s/at2?$//;
	my @s = map { plain($_) } $args =~ /"([^"]*)"/g;
	my ($fd) = $args =~ /^\d+<(.*?)>/;
	my $what = $call =~ /sync|write|copy/ ? plain($fd // '') : join ' ', map { substr $_, 0, 80 } @s;
	all_states("operation $ops, $short $what");
}
print "$ops operations, $states states\n";

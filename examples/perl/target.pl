# A runtime in Perl that takes no WGSL: it adds and multiplies, and its commands wait for a flush.
#
#     gpusim fuzz --target "exec:perl examples/perl/target.pl"
#
# docs/JUDGING.md has the lines that it answers.

use strict;
use warnings;
use JSON::PP;

$| = 1;
my (%memory, @queue, %operations);
my %ops = (add => sub { $_[0] + $_[1] }, mul => sub { $_[0] * $_[1] });

sub flush { $_->() for splice @queue }

sub compute {
    my ($operation, $scalar, $groups, $y, $x) = (@_[0 .. 2], reverse split /,/, $_[3]);
    my $is_float = $operation->{dtype} eq 'f32';
    my ($format, $op) = ($is_float ? 'f<*' : 'L<*', $ops{ $operation->{op} });
    my @words = unpack $format, $memory{$y};
    # A scalar is a float of 32 bits as well.
    my @others = defined $x ? unpack($format, $memory{$x}) : (unpack 'f<', pack 'f<', $scalar) x @words;
    @others = ($scalar) x @words unless defined $x || $is_float;
    for my $at (0 .. $#words) {
        last if $at >= 64 * $groups || $at > $#others;
        my $word = $op->($words[$at], $is_float ? $others[$at] : $others[$at] & 0xffffffff);
        $words[$at] = $is_float ? $word : $word & 0xffffffff;
    }
    my $bytes = pack $format, @words;
    substr($memory{$y}, 0, length $bytes) = $bytes;
}

my %answers = (
    hello => sub {
        for (@{ decode_json("@_")->{kernels} }) { $operations{ $_->{name} } = $_->{operation} if $_->{operation} }
        print 'ready ', encode_json({ version => 2, promises => { kernels => [ sort keys %operations ] } }), "\n";
    },
    open => sub { %memory = @queue = () },
    alloc => sub { $memory{ $_[0] } = "\0" x $_[1] },
    write => sub { flush(); substr($memory{ $_[0] }, $_[1], length($_[2]) / 2) = pack 'H*', $_[2] },
    copy => sub {
        my ($source, $at, $target, $target_at, $size) = @_;
        push @queue, sub { substr($memory{$target}, $target_at, $size) = substr $memory{$source}, $at, $size };
    },
    dispatch => sub {
        my ($kernel, $buffers, $scalar, $grid) = @_;
        my ($x, $y, $z) = split /x/, $grid;
        push @queue, sub { compute($operations{$kernel}, $scalar, $x * $y * $z, $buffers) };
    },
    read => sub { flush(); print "value $_[4] ", unpack('H*', substr $memory{ $_[0] }, $_[1], $_[2]), "\n" },
    free => sub { flush(); delete $memory{ $_[0] } },
    (map { $_ => \&flush } qw(flush sync close)),
);

while (my $line = <STDIN>) {
    my ($verb, @words) = split ' ', $line;
    eval { $answers{$verb}->(@words); 1 } or do { print "error Failed $@"; next };
    print "ok\n" unless $verb eq 'hello';
}

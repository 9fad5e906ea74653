#!/bin/sh
# Gate: calls and idioms that have no place here. Comments and strings do not count.
# Prints each violation as FILE:LINE; exit 1 if there is one.
#
# Everywhere: calls without a bound, with hidden state, or that read text sloppily; assert (our own
# bugs are QR_ASSERT, which stays in release builds); line comments; goto anywhere but to `out`;
# typedefs of structs that are no small value types; files above 800 lines. Product code besides: raw heap calls outside mem.c, and running a shell.
set -eu
cd "$(dirname "$0")/.."

git ls-files -co --exclude-standard -- '*.c' '*.h' | xargs perl -e '
use strict;
my $calls = join "|", qw(strcpy strcat stpcpy sprintf vsprintf strncpy strncat atoi atol atoll atof gets
    scanf sscanf fscanf strtok strtok_r localtime gmtime ctime asctime rand random drand48 srand
    srandom alloca mktemp tmpnam tempnam setjmp longjmp assert);
my $product_calls = join "|", qw(malloc calloc realloc reallocarray free strdup strndup asprintf
    vasprintf getline aligned_alloc posix_memalign system popen);
my $n = 0;
for my $f (@ARGV) {
    open(my $h, "<", $f) or next; # removed from the tree, not yet from the index
    local $/; my $s = <$h>; close $h;
    my $product = $f =~ m{^(protocol|proto|transport|enclave-shim|daemon)/};
    my $bad = sub { my ($pos, $what) = @_; my $line = 1 + (substr($s, 0, $pos) =~ tr/\n//);
        print "$f:$line: $what\n"; $n++ };
    # Blank out strings and comments, keeping every offset and line.
    my $slashes = [];
    $s =~ s{(/\*.*?\*/)|("(?:\\.|[^"\\\n])*")|(\x27(?:\\.|[^\x27\\\n])*\x27)|(//[^\n]*)}{
        push @$slashes, pos($s) // $-[0] if defined $4; (my $x = $&) =~ s/[^\n]/ /g; $x }gse;
    $bad->($_, "a line comment; write /* */") for @$slashes;
    while ($s =~ /(?<![\w.>])($calls)\s*\(/g) { $bad->($-[1], "$1 is banned") unless $1 =~ /^(setjmp|longjmp)$/ && !$product; }
    if ($product && $f ne "protocol/base/mem.c") {
        while ($s =~ /(?<![\w.>])($product_calls)\s*\(/g) { $bad->($-[1], "$1 is banned; see protocol\/base\/mem.h") }
    }
    while ($s =~ /\bgoto\s+(\w+)/g) { $bad->($-[0], "goto $1; the only label is out") if $1 ne "out" }
    while ($s =~ /\btypedef\s+struct\s+(\w*)/g) {
        $bad->($-[0], "typedef of a struct; only small value types (views, field and group elements) have one")
            if $product && $1 !~ /^qr_(\w*view|fq\w*|pt)$/
    }
    my $lines = ($s =~ tr/\n//);
    if ($lines > 800) { print "$f: $lines lines; above 800 a file holds two concepts\n"; $n++ }
}
if ($n) { print "check_banned: $n violations\n"; exit 1 }
print "check_banned: ok\n";
'

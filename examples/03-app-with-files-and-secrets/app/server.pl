#!/usr/bin/perl
# Answers every request with one page. Core modules only, as they are in every Debian.
use strict;
use warnings;
use IO::Socket::INET;

my $file = shift or die "usage: server.pl CONFIGURATION\n";
open my $handle, '<', $file or die "$file: $!\n";
my %setting = map { chomp; split /=/, $_, 2 } grep { /=/ } <$handle>;
close $handle;
die "$file has no database_password\n" unless length $setting{database_password};

open my $page, '<', '/opt/notes/page.html' or die "page.html: $!\n";
my $body = do { local $/; <$page> };

my $server = IO::Socket::INET->new(
    LocalPort => $setting{port},
    Listen    => 16,
    ReuseAddr => 1,
) or die "port $setting{port}: $!\n";
while (my $client = $server->accept) {
    while (my $line = <$client>) {
        last if $line =~ /^\r?\n$/;
    }
    my $length = length $body;
    print {$client} "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n"
        . "Content-Length: $length\r\nConnection: close\r\n\r\n$body";
    close $client;
}

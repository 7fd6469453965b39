//! The way out of an instance is what its template says: none, unless `internet` is there.
//!
//! What is outside is in a network namespace of the test's own, beside another that is the
//! whole machine's for `darkroom` and its cloud. So nothing of the machine's network is
//! used or changed, and the test runs also where there is none.

use std::process::Command;

use darkroom_tests::house::{Driver, House, sandbox_can_run};

use crate::support::{Told, run};

/// In a namespace that is empty: the far one, with a page and a name server in it, and
/// then the words of the command line. Both are written down by who visits them.
const MACHINE: &str = r#"
set -eu
cd "$1"; shift
ip link set lo up
unshare --net sleep 300 & far=$!
trap 'kill $far $page $names' EXIT
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add near type veth peer name far netns $far
ip address add 198.51.100.1/30 dev near; ip link set near up
outside="nsenter --target $far --net"
$outside ip link set lo up
$outside ip address add 198.51.100.2/30 dev far; $outside ip link set far up
$outside perl page.pl & page=$!
$outside perl names.pl & names=$!
echo nameserver 198.51.100.2 > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
until [ -e page.up ] && [ -e names.up ]; do sleep 0.01; done
"$@"
"#;

const PAGE: &str = r#"
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => '198.51.100.2:8080', Listen => 5, ReuseAddr => 1) or die $!;
open my $up, '>', 'page.up'; close $up;
while (my $c = $s->accept) {
  open my $log, '>>', 'visitors'; print $log "page\n"; close $log;
  while (defined(my $line = <$c>)) { last if $line =~ /^\r?$/ }
  print $c "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nplanted"; close $c;
}
"#;

/// Every name has the page's address, and no other kind of record.
const NAMES: &str = r#"
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => '198.51.100.2:53', Proto => 'udp') or die $!;
open my $up, '>', 'names.up'; close $up;
while ($s->recv(my $asked, 512)) {
  my ($id, $question) = (substr($asked, 0, 2), substr($asked, 12));
  my $end = index($question, "\0") + 5;
  $question = substr($question, 0, $end);
  next if $end < 5;
  my $is_a = unpack('n', substr($question, -4, 2)) == 1;
  open my $log, '>>', 'visitors'; print $log "name\n"; close $log;
  my $answer = $is_a ? pack('nnnNnC4', 0xc00c, 1, 1, 60, 4, 198, 51, 100, 2) : '';
  $s->send($id . pack('nnnnn', 0x8180, 1, $is_a ? 1 : 0, 0, 0) . $question . $answer);
}
"#;

/// Runs `darkroom` on the machine that has nothing but the page and the name server.
pub(crate) fn on_the_machine(house: &House, script: &str) -> Told {
    let inner = house.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "sh", "-c", MACHINE, "sh"]);
    command.arg(house.path("")).args(["sh", "-c", script, "sh"]);
    command.arg(inner.get_program()).env_clear();
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Told::of(command.output().unwrap())
}

#[test]
fn only_a_template_with_internet_reaches_what_is_outside() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    house.write("page.pl", PAGE);
    house.write("names.pl", NAMES);
    let template = |instance: &str, script: &str| {
        let script = script.replace('\n', "\n      ");
        format!(
            "name: out\nsource: {{ family: debian-12 }}\nrepair: none\nbuild:\n  - run: |\n      {script}\n{instance}"
        )
    };
    let by_address = "curl -sS -m 5 http://198.51.100.2:8080/";
    let by_name = "curl -sS -m 5 http://somewhere.example:8080/";
    let shut = format!(
        "for way in \"{by_address}\" \"{by_name}\" 'getent hosts somewhere.example'; do\n  if $way; then exit 9; fi\ndone\n[ -z \"$(ip route)\" ]"
    );
    let open = format!("[ \"$({by_address})\" = planted ] && [ \"$({by_name})\" = planted ]");
    house.write("without/image.yaml", &template("", &shut));
    let with = "instance: { internet: 10 }\n";
    house.write("with/image.yaml", &template(with, &open));
    let told = on_the_machine(
        &house,
        r#"
        set -eu
        "$1" build without
        if [ -e visitors ]; then echo "was reached: $(cat visitors)"; exit 8; fi
        "$1" build with
        "$1" local reset --force --yes
        "$1" local stop
        "#,
    )
    .exits(0);
    assert_eq!(told.out.matches("SUCCESS").count(), 2, "{}", told.out);
    let visitors = std::fs::read_to_string(house.path("visitors")).unwrap();
    assert_eq!(visitors.matches("page").count(), 2, "{visitors}");
    assert!(visitors.contains("name"), "{visitors}");
}

#[test]
fn what_needs_the_internet_and_has_none_is_warned_of() {
    let house = House::new(Driver::Sim);
    let template = "name: warned\nsource: { family: debian-12 }\nbuild:\n  - uses: darkroom:packages\n    with: { install: [nginx] }\n";
    house.write("image.yaml", template);
    run(&house, &["validate"]).exits(0).says(&[
        "warning: ",
        "image.yaml:4:11: darkroom:packages needs the internet, and the instance has no way out",
        "add `instance: { internet: 10 }`",
    ]);
    house.write(
        "image.yaml",
        &format!("{template}instance: {{ internet: 10 }}\n"),
    );
    let told = run(&house, &["validate"]).exits(0);
    assert!(!told.err.contains("warning"), "{}", told.err);
}

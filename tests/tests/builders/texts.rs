//! `files`, `archive` and `shell`: texts and paths of people.

use darkroom_tests::bench::Bench;
use serde_json::json;

use super::{HOSTILE, refusal, twice};

#[tokio::test(flavor = "multi_thread")]
async fn files_archives_and_scripts() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    files(&bench).await;
    archives(&bench).await;
    scripts(&bench).await;
}

async fn files(bench: &Bench) {
    let path = format!("/srv/{}", HOSTILE.replace('/', "_"));
    let text = format!("{HOSTILE}\n\t{}", "x'\"$(y)é".repeat(8192));
    assert!(text.len() > 64 << 10);
    twice(
        bench,
        "files",
        json!({ "path": path, "text": text, "mode": "4750", "owner": "games:mail" }),
    )
    .await;
    // The only file there.
    let look = "cd /srv && set -- * && [ $# = 1 ] && printf '%s\\n' \"$1\" && stat -c '%a %U:%G' \"$1\" && sha256sum <\"$1\" && [ ! -e /run/darkroom-files ]";
    let said = bench.sh(look).await;
    let digest = darkroom_contract::sha256(text.as_bytes());
    let expected = format!("{}\n4750 games:mail\n{digest}  -\n", &path["/srv/".len()..]);
    assert_eq!(said, expected);
    // Mode, owner and content are each a reason to write.
    twice(
        bench,
        "files",
        json!({ "path": path, "text": text, "mode": "0600", "owner": "games:mail" }),
    )
    .await;
    twice(
        bench,
        "files",
        json!({ "path": path, "text": text, "mode": "0600" }),
    )
    .await;
    twice(
        bench,
        "files",
        json!({ "path": path, "text": "", "mode": "0600" }),
    )
    .await;
    twice(bench, "files", json!({ "path": path, "kind": "absent" })).await;

    let values = json!({ "word": HOSTILE, "ports": [80, 443], "on": true });
    let template = "word = {{ word }}\n{% for p in ports %}port {{ p }}\n{% endfor %}{% if on %}on{% endif %}\n";
    twice(
        bench,
        "files",
        json!({ "path": "/etc/deep/er/app.conf", "template": template, "values": values }),
    )
    .await;
    assert_eq!(
        bench.sh("cat /etc/deep/er/app.conf").await,
        format!("word = {HOSTILE}\nport 80\nport 443\non\n")
    );
    twice(
        bench,
        "files",
        json!({ "path": "/etc/motd", "asset": "motd" }),
    )
    .await;
    assert!(bench.sh("cat /etc/motd").await.contains("Darkroom"));
    twice(
        bench,
        "files",
        json!({ "path": "/srv/data", "kind": "folder", "mode": "2775", "owner": "games:mail" }),
    )
    .await;
    assert_eq!(
        bench.sh("stat -c '%a %U:%G' /srv/data").await,
        "2775 games:mail\n"
    );
    twice(
        bench,
        "files",
        json!({ "path": "/srv/link", "kind": "link", "target": HOSTILE }),
    )
    .await;
    assert_eq!(bench.sh("readlink /srv/link").await, format!("{HOSTILE}\n"));
    twice(
        bench,
        "files",
        json!({ "path": "/srv/link", "text": "now a file" }),
    )
    .await;
    twice(
        bench,
        "files",
        json!({ "path": "/etc/deep", "kind": "absent", "recursive": true }),
    )
    .await;
    let refused = refusal(bench, "files", json!({ "path": "/srv", "kind": "absent" })).await;
    assert!(
        refused.contains("is a folder with something in it"),
        "{refused}"
    );
}

async fn archives(bench: &Bench) {
    // Served by the instance to itself: it has no other way to anything.
    let made = bench
        .sh(
            r#"set -e; rm -rf /srv/*; mkdir -p /srv/www /srv/make/app-1/bin; cd /srv/make
            printf run >app-1/bin/run; chmod 4755 app-1/bin/run; ln -s bin/run app-1/run
            chown -R games app-1; tar -czf /srv/www/app-1.tar.gz app-1
            cat >/srv/serve.pl <<'SERVE'
use IO::Socket::INET;
my $at = IO::Socket::INET->new(LocalAddr => '127.0.0.1:8080', Listen => 9, ReuseAddr => 1) or die;
while (my $to = $at->accept) {
    my $asked = <$to>; my ($name) = $asked =~ m{^GET (\S+)};
    while (<$to>) { last if /^\r?$/ }
    open(my $file, '<:raw', "/srv/www$name") or next; local $/; my $all = <$file>;
    print $to "HTTP/1.0 200 OK\r\nContent-Length: " . length($all) . "\r\n\r\n$all"; close $to;
}
SERVE
            systemd-run -q perl /srv/serve.pl
            sha256sum </srv/www/app-1.tar.gz | cut -c -64"#,
        )
        .await;
    let url = "http://127.0.0.1:8080/app-1.tar.gz";
    let wait = "for i in $(seq 50); do curl -fsS -o /dev/null http://127.0.0.1:8080/app-1.tar.gz && exit 0; sleep 0.1; done; exit 1";
    bench.sh(wait).await;
    let to = format!("/opt/{}", HOSTILE.replace('/', "_"));
    let with = json!({ "url": url, "sha256": made.trim(), "to": to, "strip": 1, "owner": "mail" });
    twice(bench, "archive", with.clone()).await;
    let look = "cd /opt/* && cat run && stat -c '%n %a %U' . bin bin/run && ls -A /var/tmp /opt | grep -c darkroom";
    assert_eq!(
        bench.try_sh(look).await.1,
        "run. 755 mail\nbin 755 mail\nbin/run 755 mail\n0\n"
    );
    bench.sh("rm /opt/*/bin/run").await;
    twice(bench, "archive", with).await;
    let wrong =
        json!({ "path": "/srv/www/app-1.tar.gz", "sha256": "0".repeat(64), "to": "/opt/x" });
    assert!(
        refusal(bench, "archive", wrong)
            .await
            .contains("has the digest")
    );
    bench
        .sh("cd /srv/make && ln -s /etc evil && tar -cf /srv/evil.tar evil")
        .await;
    let evil = json!({ "path": "/srv/evil.tar", "to": "/opt/evil" });
    assert!(
        refusal(bench, "archive", evil)
            .await
            .contains("leads out of its place")
    );
    assert_eq!(bench.try_sh("ls /opt/evil").await.0, 2);
}

async fn scripts(bench: &Bench) {
    let word = format!("{HOSTILE}\n\t{}", "x'\"$(y)é".repeat(8192));
    let script = "printf '%s' \"$WORD\" >/srv/word; touch /srv/\"done it\"";
    let with = json!({ "script": script, "env": { "WORD": word }, "creates": "/srv/done it" });
    twice(bench, "shell", with).await;
    let digest = darkroom_contract::sha256(word.as_bytes());
    assert_eq!(
        bench.sh("sha256sum </srv/word").await,
        format!("{digest}  -\n")
    );
    let with = json!({
        "script": "printf '%s\\n' \"$WORD\" >~/word", "unless": "grep -Fqx -- \"$WORD\" ~/word",
        "env": { "WORD": HOSTILE }, "user": "games",
    });
    bench
        .sh("mkdir -p /usr/games && chown games /usr/games")
        .await;
    twice(bench, "shell", with).await;
}

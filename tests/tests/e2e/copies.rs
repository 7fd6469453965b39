//! An image's copy stands on its own, and holds exactly what the build left in it.

use darkroom_tests::house::{House, sandbox_can_run, wait_for};

use crate::support::{HERE, Machine, THERE, billed, built, call, image_in};

/// Every kind of file that a copy could lose, made in one build.
const MAKE: &str = r#"
set -eu
mkdir -p /srv/kept && cd /srv/kept
useradd --system --uid 4321 app
echo owned > owned; chown app:app owned; chmod 0640 owned
cp /bin/true setuid; chmod 4755 setuid
cp /bin/true setgid; chmod 2755 setgid
mkdir sticky; chmod 1777 sticky
cp /bin/true capable; setcap cap_net_raw,cap_net_admin+ep capable
echo linked > link-1; ln link-1 link-2; mkdir deep; ln link-1 deep/link-3
ln -s ../../etc/hostname relative; ln -s /nowhere/at/all dangling
truncate -s 64M sparse; printf end >> sparse
long=$(printf '%0255d' 0); echo long > "$long"
printf 'odd\n' > "$(printf 'two\nlines \\ \"quoted\" \377')"
mkfifo pipe
mkdir empty
touch -d '2001-02-03 04:05:06 UTC' old
chmod 0000 empty
# Changes to what the base has: a file less, a folder less, a folder anew, a renamed one.
rm /usr/bin/chage
rm -r /usr/share/doc/apt
rm -r /usr/share/doc/adduser; mkdir /usr/share/doc/adduser; echo new > /usr/share/doc/adduser/only
mv /usr/share/doc/base-files /usr/share/doc/moved
chmod 0700 /usr/share/doc/bash
rm /etc/motd 2>/dev/null || :
"#;

/// The same, looked at: one fact a line.
const LOOK: &str = r#"
cd /srv/kept
stat -c '%n %U:%G %u %a %s' owned setuid setgid sticky capable empty | sed 's/ [0-9]*$//'
getcap capable
echo "links $(stat -c %h link-1) $([ link-1 -ef deep/link-3 ] && [ link-2 -ef link-1 ] && echo same)"
readlink relative dangling
echo "sparse $(stat -c %s sparse) $([ $(du -k sparse | cut -f1) -lt 1024 ] && echo holes) $(tail -c 3 sparse)"
echo "long $(cat $(printf '%0255d' 0))"
echo "odd $(cat "$(printf 'two\nlines \\ \"quoted\" \377')")"
stat -c '%n %F' pipe
stat -c '%n %y' old
stat -c '%n %a' /usr/share/doc/bash
cat /usr/share/doc/adduser/only; ls /usr/share/doc/adduser
ls /usr/share/doc/moved | grep -x copyright
for gone in /usr/bin/chage /usr/share/doc/apt /usr/share/doc/base-files; do
  [ -e $gone ] && echo "still there: $gone"
done
true
"#;

const FACTS: &str = "\
owned app:app 4321 640
setuid root:root 0 4755
setgid root:root 0 2755
sticky root:root 0 1777
capable root:root 0 755
empty root:root 0 0
capable cap_net_admin,cap_net_raw=ep
links 3 same
../../etc/hostname
/nowhere/at/all
sparse 67108867 holes end
long long
odd odd
pipe fifo
old 2001-02-03 04:05:06.000000000 +0000
/usr/share/doc/bash 700
new
only
copyright
";

fn indented(script: &str) -> String {
    script.replace('\n', "\n      ")
}

/// Built twice, the second time from the first image, so that each image is more than one
/// layer and something is removed that a layer of ours had.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_boots_without_its_source_and_has_everything() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let first = built(
        &house,
        &format!(
            "name: first\nsource: {{ family: debian-12 }}\ncheckpoint: false\nbuild:\n  - run: |\n      {}\n",
            indented(MAKE)
                + "echo early > /srv/kept/removed-later; mkdir /srv/gone; touch /srv/gone/file"
        ),
    );
    let first = image_in(&first, HERE);
    let second = built(
        &house,
        &format!(
            "name: second\nsource: {{ image: {first} }}\nbuild:\n  - run: rm /srv/kept/removed-later && rm -r /srv/gone\ndistribute: {{ regions: [{HERE}, {THERE}] }}\n"
        ),
    );
    let client = house.client(0);
    for image in [&first, &image_in(&second, HERE)] {
        call(&client, HERE, "DeleteImage", &[("ImageId", image)])
            .await
            .unwrap();
    }
    let snapshots = call(&client, HERE, "DescribeSnapshots", &[]).await.unwrap();
    for snapshot in snapshots["Snapshots"]["Snapshot"].as_array().unwrap() {
        let id = snapshot["SnapshotId"].as_str().unwrap();
        call(&client, HERE, "DeleteSnapshot", &[("SnapshotId", id)])
            .await
            .unwrap();
    }
    assert!(
        billed(&house).iter().all(|one| one.contains(THERE)),
        "{:?}",
        billed(&house)
    );
    // Its layers go with them; only the base's own stays, which is the region's public
    // image, and here even that is taken away.
    let source = house.local().join("regions").join(HERE);
    let layers = source.join("layers");
    wait_for("the end of the layers", || {
        (std::fs::read_dir(&layers).unwrap().count() == 1).then_some(())
    });
    std::fs::remove_dir_all(source).unwrap();

    let machine = Machine::boot(client, THERE, &image_in(&second, THERE)).await;
    assert_eq!(machine.sh(LOOK).await, FACTS);
    let (code, _) = machine.run("ls /srv/gone /srv/kept/removed-later").await;
    assert_eq!(code, Some(2), "what the second build removed is gone");
    let (_, seen) = machine
        .run("runuser -u app -- /srv/kept/setuid; runuser -u app -- cat /srv/kept/owned")
        .await;
    assert_eq!(seen, "owned\n");
    machine.delete().await;
}

//! The repairer: it leaves a healthy image alone, byte for byte, and mends a broken one.

use darkroom_tests::house::{House, sandbox_can_run};
use serde_json::{Value, json};

use crate::support::{HERE, Machine, built, command, image_in, of_action, param, requests};

/// Every file and folder of the machine with what a write would change. What the machine
/// itself writes when it comes up, what is mounted, and our receipts are left out.
const LISTING: &str = r#"own=''
      for path in /dev /proc /run /sys /tmp /var/tmp /var/log /var/lib/darkroom \
        /var/lib/systemd /var/lib/dbus /etc/machine-id /etc/resolv.conf; do
        own="$own -path $path -prune -o"
      done
      find / -xdev $own ! -path /var/lib -printf '%p %s %m %U %T@\n' | LC_ALL=C sort"#;

fn listed(house: &House, repair: &str) -> (Value, String) {
    let manifest = built(
        house,
        &format!(
            "name: healthy\nsource: {{ family: debian-12 }}\nrepair: {repair}\nbuild:\n  - run: |\n      {LISTING}\n"
        ),
    );
    let run = manifest["run"].as_str().unwrap();
    let log = house
        .path("state/runs")
        .join(run)
        .join("logs/build/1-run/0/1.log");
    (manifest, std::fs::read_to_string(log).unwrap())
}

/// The item of this name, as the manifest has it.
#[track_caller]
fn item<'m>(manifest: &'m Value, name: &str) -> &'m Value {
    let role = &manifest["roles"][0];
    assert_eq!(role["path"], "repair/linux");
    let items = role["items"].as_array().unwrap();
    items.iter().find(|item| item["name"] == name).unwrap()
}

/// What a container has: without a kernel of its own nothing else is judged.
const ITEMS: [&str; 4] = [
    "GUESTOS.Fstab",
    "GUESTOS.Grub",
    "GUESTOS.Dhcp",
    "GUESTOS.RtcTimeMode",
];

#[test]
fn a_healthy_image_is_not_written() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let (_, without) = listed(&house, "none");
    let (manifest, with) = listed(&house, "standard");
    assert!(
        without.lines().count() > 5000 && without.contains("/etc/fstab "),
        "{without}"
    );
    let changed: Vec<_> = with
        .lines()
        .filter(|line| !without.contains(line))
        .collect();
    assert_eq!(changed, [""; 0]);
    assert_eq!(with.lines().count(), without.lines().count());
    for name in ITEMS {
        assert_eq!(item(&manifest, name)["status"], "intact");
    }

    // Nor was it asked to write: no file was sent, and both scripts only look.
    let requests = requests(&house);
    assert!(of_action(&requests, "SendFile").is_empty());
    let steps: Vec<_> = of_action(&requests, "RunCommand")
        .into_iter()
        .filter(|one| command(one).contains("# darkroom repair/linux/"))
        .map(|one| param(one, "Name").to_owned())
        .collect();
    assert_eq!(
        steps,
        ["look at devices and mounts", "look at files and kernels"]
    );
}

/// An entry whose device is nowhere.
const MISSING: &str = "UUID=0f0f0f0f-dead-beef-0000-000000000000 /data ext4 defaults 0 2";

/// The machine is up, and mounting all that must be mounted succeeds.
const UP: &str = "timeout 20 systemctl is-system-running --wait && mount -a";

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_fstab_is_repaired_and_the_machine_comes_up_again() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let planted = built(
        &house,
        &format!(
            "name: planted\nsource: {{ family: debian-12 }}\nrepair: none\nbuild:\n  - run: mkdir /data && echo '{MISSING}' >> /etc/fstab\n"
        ),
    );
    let planted = image_in(&planted, HERE);

    // The fault is one: what must be mounted can't be. (systemd waits for no device in
    // a container, so that the machine does come up.)
    let machine = Machine::boot(house.client(0), HERE, &planted).await;
    let (code, said) = machine.run("mount -a").await;
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("0f0f0f0f-dead-beef"), "{said}");
    machine.delete().await;

    let manifest = built(
        &house,
        &format!(
            "\
name: mended
source: {{ image: {planted} }}
repair: standard
build:
  - reboot: {{}}
  - run: {UP}
  - run: cat /etc/fstab
test:
  - uses: darkroom:shell
    with: {{ test: '{UP}' }}
"
        ),
    );
    let fstab = item(&manifest, "GUESTOS.Fstab");
    assert_eq!(fstab["status"], "repaired");
    let message = fstab["message"].as_str().unwrap();
    assert!(
        message.contains("0f0f0f0f-dead-beef") && message.contains("/data"),
        "{message}"
    );
    let run = manifest["run"].as_str().unwrap();
    let log = house
        .path("state/runs")
        .join(run)
        .join("logs/build/3-run/0/1.log");
    let fstab = std::fs::read_to_string(log).unwrap();
    assert!(fstab.contains(&format!("was: {MISSING}\n")), "{fstab}");
    assert!(
        fstab.contains(" /data ext4 defaults,nofail 0 2\n"),
        "{fstab}"
    );

    // A second look at the mended image finds nothing to do.
    let mended = image_in(&manifest, HERE);
    let again = built(
        &house,
        &format!(
            "name: again\nsource: {{ image: {mended} }}\nrepair: standard\nbuild:\n  - run: 'true'\n"
        ),
    );
    assert_eq!(item(&again, "GUESTOS.Fstab")["status"], "intact");
}

/// Faults of four items, one of which can't be repaired where no device is seen.
const FAULTS: &str = r"
      mkdir -p /etc/network /boot/grub /etc/selinux
      printf 'auto eth0\niface eth0 inet static\n  address 10.0.0.5/24\n' > /etc/network/interfaces
      printf '0.0 0 0.0\n0\nLOCAL\n' > /etc/adjtime
      echo 'linux /boot/vmlinuz root=/dev/sda1 ro' > /boot/grub/grub.cfg
      echo 'SELINUX=enforcing' > /etc/selinux/config";

#[test]
fn items_and_risks_are_told_to_people_and_programs() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let planted = built(
        &house,
        &format!(
            "name: planted\nsource: {{ family: debian-12 }}\nrepair: none\nbuild:\n  - run: |{FAULTS}\n"
        ),
    );
    let planted = image_in(&planted, HERE);
    let from = |repair: &str| {
        let template = format!(
            "name: mended\nsource: {{ image: {planted} }}\nrepair: {repair}\nbuild:\n  - run: cat /etc/network/interfaces /etc/selinux/config; sed -n 3p /etc/adjtime\n"
        );
        built(&house, &template)
    };
    let log = |manifest: &Value, file: &str| {
        let run = manifest["run"].as_str().unwrap();
        let runs = house.path("state/runs").join(run);
        std::fs::read_to_string(runs.join(file)).unwrap()
    };

    let manifest = from("standard");
    for (name, status) in [
        ("GUESTOS.Fstab", json!("intact")),
        ("GUESTOS.Grub", json!({ "unrepaired": "high" })),
        ("GUESTOS.Dhcp", json!("repaired")),
        ("GUESTOS.RtcTimeMode", json!("repaired")),
    ] {
        assert_eq!(item(&manifest, name)["status"], status, "{name}");
    }
    let events = log(&manifest, "events.ndjson");
    for told in [
        "GUESTOS.Dhcp repaired: /etc/network/interfaces fixed the address, now DHCP",
        "GUESTOS.Grub not repaired, high risk: /boot/grub/grub.cfg: root=/dev/sda1",
        "GUESTOS.RtcTimeMode repaired: the hardware's clock was LOCAL, now UTC",
    ] {
        assert!(events.contains(told), "missing {told} in {events}");
    }
    let said = log(&manifest, "logs/build/1-run/0/1.log");
    assert!(
        said.contains("iface eth0 inet dhcp\n# darkroom: "),
        "{said}"
    );
    assert!(said.ends_with("SELINUX=enforcing\nUTC\n"), "{said}");

    // A list looks at what standard leaves alone, and at nothing else.
    let manifest = from("[selinux]");
    let items = manifest["roles"][0]["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(item(&manifest, "GUESTOS.Selinux")["status"], "repaired");
    let said = log(&manifest, "logs/build/1-run/0/1.log");
    assert!(said.contains("inet static"), "{said}");
    assert!(said.ends_with("SELINUX=disabled\nLOCAL\n"), "{said}");
}

//! Instances of the sandbox driver, for real: boot, stop, reboot, power cut, and
//! what an instance can't see of its host.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod sandbox_machine;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use darkroom_local::driver::{
    CommandFault, CommandStatus, Driver, DriverError, Finished, Observed,
};
use rustix::process::{Signal, kill_process};
use sandbox_machine::{Cloud, Instance, not_run, shell, supervisor_pid};

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_boots_stops_and_boots_again_on_the_same_disk() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let boot_id = instance.agent().await;
    let seen = instance.sh("cat /proc/sys/kernel/random/boot_id").await;
    assert_eq!(seen.trim(), boot_id);
    assert_eq!(instance.sh("ps -o comm= -p 1").await.trim(), "systemd");
    let state = instance.sh("systemctl is-system-running").await;
    assert_eq!(state.trim(), "running");
    assert_eq!(instance.sh("hostname").await.trim(), "host-2");
    instance.sh("echo kept > /root/file").await;
    instance.cloud.driver.start(&instance.id).await.unwrap();
    assert_eq!(instance.agent().await, boot_id, "a second start is none");
    instance.stop().await;
    instance
        .cloud
        .driver
        .stop(&instance.id, false)
        .await
        .unwrap();
    instance.start().await;
    assert_eq!(instance.sh("cat /root/file").await, "kept\n");
    assert_ne!(instance.agent().await, boot_id);
    cloud.driver.delete(&instance.id).await.unwrap();
    cloud.driver.delete(&instance.id).await.unwrap();
    assert_eq!(instance.observe().await, Observed::Gone);
    assert_eq!(leftovers(&instance), "");
}

/// Control groups and mounts of an instance that are still there.
fn leftovers(instance: &Instance<'_>) -> String {
    let script = format!(
        "ls -d /sys/fs/cgroup/darkroom/*.{id}.* /sys/fs/cgroup/*/darkroom/*.{id}.* \
         2>/dev/null; grep {folder} /proc/self/mountinfo",
        id = instance.id,
        folder = instance.cloud.folder.path().display(),
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    let mine = instance.cloud.mark();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains(&mine) || line.contains(" / "))
        .collect()
}

fn interrupted(finished: &Finished) {
    assert_eq!(finished.status, CommandStatus::Failed, "{finished:?}");
    let interrupted = Some(CommandFault::ExecutionInterrupted);
    assert_eq!(finished.error_code, interrupted, "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_supervisor_is_a_power_cut() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let command = shell("echo begun > /root/marker; exec sleep 987654");
    instance.hand_over(&command).await;
    instance.started(&command.invoke).await;
    while instance.sh("cat /root/marker || :").await != "begun\n" {}
    let supervisor = supervisor_pid(&instance.folder()).unwrap();
    kill_process(supervisor, Signal::KILL).unwrap();
    while instance.observe().await != Observed::Stopped {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let finished = instance.finished(&command.invoke).await;
    interrupted(&finished);
    assert_eq!(
        instance.finished(&command.invoke).await,
        finished,
        "for ever"
    );
    assert!(!host_processes().contains("987654"), "the command lives on");
    instance.start().await;
    assert_eq!(instance.sh("cat /root/marker").await, "begun\n");
    instance.cloud.driver.delete(&instance.id).await.unwrap();
    assert_eq!(leftovers(&instance), "");
}

fn host_processes() -> String {
    let output = std::process::Command::new("ps")
        .args(["-eo", "args"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_has_a_session_of_its_own_and_nothing_of_its_starter() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let path = cloud.folder.path().join("open-in-the-server");
    let file = std::fs::File::create(&path).unwrap();
    // Without the flag that would close it in programs that are started.
    let inherited = rustix::io::dup(&file).unwrap();
    let instance = cloud.instance().await;
    drop(inherited);
    let supervisor = supervisor_pid(&instance.folder()).unwrap();
    let proc = format!("/proc/{}", supervisor.as_raw_nonzero());
    let open: Vec<_> = std::fs::read_dir(format!("{proc}/fd"))
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .collect();
    assert!(!open.contains(&path), "{open:?}");
    let session = rustix::process::getsid(Some(supervisor)).unwrap();
    assert_eq!(session, supervisor);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_is_a_new_boot_id_ordered_or_from_inside() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let first = instance.agent().await;
    for force in [false, true] {
        let before = instance.agent().await;
        cloud.driver.reboot(&instance.id, force).await.unwrap();
        assert_ne!(instance.agent().await, before);
    }
    let before = instance.agent().await;
    let command = shell("systemctl reboot; exec sleep 1000");
    instance.hand_over(&command).await;
    interrupted(&instance.finished(&command.invoke).await);
    while instance.agent().await == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let last = instance.sh("cat /proc/sys/kernel/random/boot_id").await;
    assert_ne!(last.trim(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn power_off_from_inside_stops_the_instance() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    instance.hand_over(&shell("systemctl poweroff")).await;
    while instance.observe().await != Observed::Stopped {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let refused = cloud.driver.run_command(&instance.id, &shell("true")).await;
    assert!(matches!(refused, Err(DriverError::NoAgent { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_driver_adopts_what_runs_and_collects_what_nobody_knows() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let known = cloud.instance().await;
    let lost = cloud.instance().await;
    let command = shell("sleep 0.3; echo done");
    known.hand_over(&command).await;
    let boot_id = known.agent().await;
    // Another driver on the same folder is what a restarted server has.
    let next = cloud.again();
    let layers: Vec<_> = cloud
        .layers
        .iter()
        .map(|layer| (sandbox_machine::region(), layer.clone()))
        .collect();
    let ids = [known.id.clone()];
    next.driver.collect(&ids, &layers).await.unwrap();
    assert_eq!(lost.observe().await, Observed::Gone);
    assert_eq!(leftovers(&lost), "");
    assert_eq!(known.agent().await, boot_id);
    let finished = known.finished(&command.invoke).await;
    assert_eq!(finished.output, b"done\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_sees_nothing_of_its_host() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let secret = cloud.folder.path().join("planted-secret");
    std::fs::write(&secret, "do not read").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o777)).unwrap();
    let instance = cloud.instance().await;
    let look = format!(
        "cat {path} /proc/1/root{path} /proc/self/root/../..{path} 2>/dev/null; \
         find / -xdev -name planted-secret; cat /proc/self/mountinfo; \
         cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'; ls -l /proc/1/fd /proc/1/exe",
        path = secret.display()
    );
    let seen = instance.sh(&look).await;
    assert!(!seen.contains("do not read"), "{seen}");
    assert!(!seen.contains("planted-secret"), "{seen}");
    assert!(
        !seen.contains("sandbox-test-"),
        "a path of the host: {seen}"
    );
    assert!(!seen.contains("CARGO"), "the host's environment: {seen}");
    let processes = instance.sh("ps -eo args").await;
    assert!(!processes.contains("supervisor"), "{processes}");
    let host = std::process::id().to_string();
    let killed = instance.run(shell(&format!("kill -0 {host}"))).await;
    assert_ne!(
        killed.exit_code,
        Some(0),
        "it reaches processes of the host"
    );
    for forbidden in [
        "mknod /root/disk b 8 0",
        "echo 1 > /proc/sys/kernel/sysrq",
        "echo h > /proc/sysrq-trigger",
        "mount -t debugfs none /mnt",
        "cat /proc/kcore",
    ] {
        let tried = instance.run(shell(forbidden)).await;
        assert_ne!(tried.exit_code, Some(0), "{forbidden}");
    }
    instance.sh("mount -t tmpfs none /mnt && umount /mnt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_memory_and_processes_hold() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let mut spec = cloud.spec(&cloud.layers, false);
    spec.memory_mib = 256;
    let instance = cloud.instance_of(&spec).await;
    let log = std::fs::read_to_string(instance.folder().join("supervisor.log")).unwrap();
    if log.contains("no limit for memory") {
        println!("not run: this machine has no memory controller for us");
        return;
    }
    let greedy = instance
        .run(shell("head -c 400m /dev/zero | tail -c 400m | wc -c"))
        .await;
    assert_ne!(greedy.output, b"419430400\n", "{greedy:?}");
    instance.sh("true").await;
    let name = format!("{}.{}.*", cloud.mark(), instance.id);
    let limits = format!(
        "cat /sys/fs/cgroup/pids/darkroom/{name}/pids.max /sys/fs/cgroup/darkroom/{name}/pids.max"
    );
    let limits = std::process::Command::new("sh")
        .args(["-c", &limits])
        .output()
        .unwrap();
    assert_eq!(limits.stdout, b"8192\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn fail_points_hold_the_supervisor_until_it_is_killed() {
    if not_run() {
        return;
    }
    for point in ["command", "stop", "delete"] {
        let place = tempfile::tempdir().unwrap();
        let hit = place.path().join("hit");
        let armed = format!("DARKROOM_FAILPOINT=supervisor.{point}={}", hit.display());
        let cloud = Cloud::with(|settings| {
            let supervisor = std::mem::replace(&mut settings.executable, "/usr/bin/env".into());
            settings.arguments = vec![armed.into(), supervisor.into()];
        })
        .await;
        let instance = cloud.instance().await;
        let command = shell("exec sleep 1000");
        let order = async {
            match point {
                "command" => instance.hand_over(&command).await,
                "stop" => cloud.driver.stop(&instance.id, false).await.unwrap(),
                _ => cloud.driver.delete(&instance.id).await.unwrap(),
            }
        };
        let kill = async {
            while !hit.exists() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let pid: i32 = std::fs::read_to_string(&hit).unwrap().parse().unwrap();
            let supervisor = supervisor_pid(&instance.folder()).unwrap();
            assert_eq!(supervisor.as_raw_nonzero().get(), pid);
            kill_process(supervisor, Signal::KILL).unwrap();
        };
        tokio::join!(order, kill);
        if point == "delete" {
            assert_eq!(instance.observe().await, Observed::Gone);
        } else {
            while instance.observe().await != Observed::Stopped {}
        }
        if point == "command" {
            interrupted(&instance.finished(&command.invoke).await);
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains("sandbox-test-"), "{mounts}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_systemd_is_refused_in_words() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    instance.sh("ln -sf /bin/bash /usr/sbin/init").await;
    instance.stop().await;
    let error = cloud.driver.start(&instance.id).await.unwrap_err();
    let DriverError::Io { source, .. } = &error else {
        panic!("{error:?}");
    };
    let words = source.to_string();
    assert!(words.contains("systemd"), "{words}");
    assert_eq!(instance.observe().await, Observed::Stopped);
    assert_eq!(leftovers(&instance), "");
}

/// Our own init keeps order in an instance whose image has none: it is the first process,
/// shows nothing of its host, reaps, and ends everything when it is told to.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_an_init_is_given_one() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    instance.sh("rm /usr/sbin/init").await;
    instance.stop().await;
    instance.start().await;
    let first = instance.agent().await;
    assert_eq!(instance.sh("cat /proc/1/comm").await, "init\n");
    let hidden = "tr -d '\\0' < /proc/1/cmdline; for f in environ maps exe fd/0 root; do
        if cat /proc/1/$f > /dev/null 2>&1 || readlink /proc/1/$f > /dev/null; then echo $f; fi
        done";
    assert_eq!(instance.sh(hidden).await, "init");
    assert_eq!(instance.sh("ulimit -n").await, "1024\n");
    // An orphan is init's, and leaves no zombie when it ends.
    let orphan = "sh -c 'sleep 0.2 & echo $!' > /run/orphan; pid=$(cat /run/orphan)
        awk '{print $4}' /proc/$pid/stat; while [ -e /proc/$pid ]; do sleep 0.05; done";
    assert_eq!(instance.sh(orphan).await, "1\n");
    // What listens to its signal is waited for.
    let orderly = "cat > /srv/orderly <<'END'
trap 'sleep 0.3; echo ended > /srv/ended; exit' TERM
touch /run/up
while :; do sleep 0.05; done
END
setsid sh /srv/orderly > /dev/null 2>&1 &
while [ ! -e /run/up ]; do sleep 0.02; done";
    instance.sh(orderly).await;
    cloud.driver.reboot(&instance.id, false).await.unwrap();
    let second = instance.agent().await;
    assert_ne!(first, second);
    assert_eq!(instance.sh("cat /srv/ended").await, "ended\n");
    // A reboot from inside, in busybox's words.
    let command = shell("kill -TERM 1; sleep 60");
    let ended = instance.run(command).await;
    assert_eq!(ended.error_code, Some(CommandFault::ExecutionInterrupted));
    while instance.agent().await == second {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    instance.stop().await;
    assert_eq!(leftovers(&instance), "");
}

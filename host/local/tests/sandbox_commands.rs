//! Commands in instances of the sandbox driver, with Cloud Assistant's meaning.

mod sandbox_machine;

use std::time::{Duration, Instant};

use darkroom_local::driver::{
    CommandFault, CommandKind, CommandState, CommandStatus, Driver, DriverError, OUTPUT_LIMIT,
    RUNNING_OUTPUT_LIMIT, Termination,
};
use sandbox_machine::{Cloud, not_run, shell, supervisor_pid};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_a_clean_environment_and_its_users_identity() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let environment = instance.sh("env | grep -v ^_= | sort").await;
    assert_eq!(
        environment,
        "HOME=/root\nLANG=C.UTF-8\nLOGNAME=root\n\
         PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         PWD=/root\nUSER=root\n"
    );
    let descriptors = instance.sh("ls /proc/self/fd | wc -l").await;
    assert_eq!(
        descriptors.trim(),
        "4",
        "0, 1, 2 and the folder that is read"
    );
    assert_eq!(instance.sh("readlink /proc/self/fd/0").await, "/dev/null\n");

    instance.sh("useradd -m app && usermod -aG adm app").await;
    let mut command = shell("id -un; id -Gn; pwd; echo $HOME; umask");
    command.username = Some("app".into());
    let seen = instance.run(command).await;
    assert_eq!(
        String::from_utf8_lossy(&seen.output),
        "app\napp adm\n/home/app\n/home/app\n0022\n"
    );
    let mut command = shell("pwd");
    command.working_dir = Some("/usr/share".into());
    assert_eq!(instance.run(command).await.output, b"/usr/share\n");

    let python = "#!/usr/bin/env -S sh -e\necho interpreted by \"$0\"\nfalse\necho never\n";
    let seen = instance.run(shell(python)).await;
    assert_eq!(seen.exit_code, Some(1));
    let output = String::from_utf8_lossy(&seen.output).into_owned();
    assert!(output.starts_with("interpreted by /run/"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_started_says_why() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let mut nobody = shell("true");
    nobody.username = Some("missing".into());
    let mut nowhere = shell("true");
    nowhere.working_dir = Some("/missing".into());
    let mut other = shell("Get-Date");
    other.kind = CommandKind::PowerShell;
    let bad_interpreter = shell("#!/missing/interpreter\n");
    for (command, fault) in [
        (nobody, CommandFault::AccountNotExists),
        (nowhere, CommandFault::DirectoryNotExists),
        (other, CommandFault::CommandNotApplicable),
        (bad_interpreter, CommandFault::ExecutionException),
    ] {
        let finished = instance.run(command).await;
        assert_eq!(finished.status, CommandStatus::Error, "{finished:?}");
        assert_eq!(finished.error_code, Some(fault), "{finished:?}");
        assert!(finished.error_info.is_some());
    }
    let failed = instance.run(shell("exit 7")).await;
    assert_eq!(failed.exit_code, Some(7));
    assert_eq!(failed.error_code, Some(CommandFault::ExitCodeNonzero));
    let killed = instance.run(shell("kill -9 $$")).await;
    assert_eq!(
        killed.exit_code,
        Some(137),
        "its own signal is no power cut"
    );
    let missing = "t-missing".parse().unwrap();
    let unknown = cloud.driver.command(&instance.id, &missing).await;
    assert!(matches!(unknown, Err(DriverError::NoCommand { .. })));
}

/// A descriptor of the supervisor would lead to the host's folders: one step up from it
/// is outside of the instance's root.
#[tokio::test(flavor = "multi_thread")]
async fn no_descriptor_of_the_supervisor_is_a_way_to_the_host() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let commands: Vec<_> = (3..48)
        .map(|number| {
            let mut command = shell("cd ../../../../../../../../.. && pwd -P && ls");
            command.working_dir = Some(format!("/proc/self/fd/{number}"));
            (number, command)
        })
        .collect();
    for (_, command) in &commands {
        instance.hand_over(command).await;
    }
    for (number, command) in &commands {
        let finished = instance.finished(&command.invoke).await;
        assert_eq!(
            finished.error_code,
            Some(CommandFault::DirectoryNotExists),
            "{number}: {}",
            String::from_utf8_lossy(&finished.output)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_groups_of_an_instance_do_not_outlive_it_however_deep_they_are() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let script = "cd /sys/fs/cgroup; name=$(printf %0200d 0); i=0; \
                  while [ $i -lt 100 ] && mkdir $name; do cd $name; i=$((i+1)); done; echo $i";
    let made = instance.sh(script).await;
    let made: u32 = made.lines().last().unwrap().parse().unwrap();
    assert!(
        (21..100).contains(&made),
        "{made}: beyond a path, and limited"
    );
    cloud.driver.delete(&instance.id).await.unwrap();
    let layout = darkroom_local::sandbox::cgroup::Layout::discover().unwrap();
    assert_eq!(layout.names(&cloud.mark()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_leave_a_tail_an_exact_count_and_flat_memory() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    instance.sh("true").await;
    let supervisor = supervisor_pid(&instance.folder()).unwrap();
    let peak = || {
        let path = format!("/proc/{}/status", supervisor.as_raw_nonzero());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let before = peak();
    let script = "i=0; while [ $i -lt 10 ]; do head -c 1000000 /dev/zero | tr '\\0' x; \
                  i=$((i+1)); done; seq 10000";
    let finished = instance.run(shell(script)).await;
    let numbers: Vec<String> = (1..=10_000).map(|n| n.to_string()).collect();
    let tail = numbers.join("\n") + "\n";
    let total = 10_000_000 + tail.len();
    assert_eq!(
        finished.output,
        tail.as_bytes()[tail.len() - OUTPUT_LIMIT..]
    );
    assert_eq!(finished.dropped, (total - OUTPUT_LIMIT) as u64);
    let grown = peak() - before;
    assert!(grown < 4096, "the supervisor grew by {grown} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_merged_in_order_and_seen_while_it_runs() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let merged = instance
        .run(shell("echo 1; echo 2 >&2; echo 3; echo 4 >&2"))
        .await;
    assert_eq!(merged.output, b"1\n2\n3\n4\n");
    let command = shell("seq 3000; exec sleep 1000");
    instance.hand_over(&command).await;
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let CommandState::Running { output, .. } = instance.state(&command.invoke).await
            && output.ends_with(b"\n3000\n")
        {
            assert_eq!(output.len(), RUNNING_OUTPUT_LIMIT);
            break;
        }
        assert!(Instant::now() < end);
    }
    // Handed over again it is the same command.
    instance.hand_over(&command).await;
    cloud
        .driver
        .stop_command(&instance.id, &command.invoke)
        .await
        .unwrap();
    let finished = instance.finished(&command.invoke).await;
    assert_eq!(finished.status, CommandStatus::Terminated);
    cloud
        .driver
        .stop_command(&instance.id, &command.invoke)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_kills_the_whole_tree_and_nothing_else() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    instance
        .sh("systemd-run --quiet --unit=daemon sleep 111111")
        .await;
    let mut command = shell(
        "trap '' TERM; setsid sleep 222222 & nohup sh -c 'trap \"\" TERM; sleep 333333' & \
         (sleep 444444 &) ; sleep 555555",
    );
    command.timeout_seconds = 1;
    let begun = Instant::now();
    let finished = instance.run(command).await;
    assert_eq!(finished.status, CommandStatus::Timeout);
    assert_eq!(finished.error_code, Some(CommandFault::ExecutionTimeout));
    assert!(begun.elapsed() < Duration::from_secs(8));
    let left = instance.sh("ps -eo args | grep '[s]leep' | sort").await;
    assert_eq!(left, "/usr/bin/sleep 111111\n");
    assert_eq!(instance.sh("systemctl is-active daemon").await, "active\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_script_itself_is_stopped_when_that_is_asked_for() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let mut command = shell("sleep 666666 > /dev/null 2>&1 & wait");
    command.termination = Termination::Process;
    instance.hand_over(&command).await;
    let ps = "ps -eo args | grep -c '[s]leep 666666' || :";
    while instance.sh(ps).await != "1\n" {}
    cloud
        .driver
        .stop_command(&instance.id, &command.invoke)
        .await
        .unwrap();
    let finished = instance.finished(&command.invoke).await;
    assert_eq!(finished.status, CommandStatus::Terminated);
    assert_eq!(instance.sh(ps).await, "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_holds_the_output_does_not_hold_the_command() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let begun = Instant::now();
    let finished = instance
        .run(shell(
            "(while :; do echo tick; sleep 0.05; done) & echo $! > /root/pid; echo started",
        ))
        .await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(finished.status, CommandStatus::Success);
    let output = String::from_utf8_lossy(&finished.output).into_owned();
    assert!(output.contains("started\n"), "{output}");
    // Its next lines are read by nobody and kill nobody.
    instance.sh("sleep 0.2; kill -0 $(cat /root/pid)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_at_once_keep_apart() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let commands: Vec<_> = (0..20)
        .map(|n| shell(&format!("seq {n} 2000 | tail -n 2000 | md5sum; echo {n}")))
        .collect();
    for command in &commands {
        instance.hand_over(command).await;
    }
    for (n, command) in commands.iter().enumerate() {
        let finished = instance.finished(&command.invoke).await;
        let output = String::from_utf8_lossy(&finished.output).into_owned();
        assert!(output.ends_with(&format!("\n{n}\n")), "{n}: {output}");
    }
    let scripts = instance.sh("ls /run/darkroom-agent | wc -l").await;
    assert!(scripts.trim().parse::<u32>().unwrap() <= 21, "{scripts}");
}

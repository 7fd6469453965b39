//! Files sent into instances of the sandbox driver.

mod sandbox_machine;

use darkroom_local::driver::FileFault;
use sandbox_machine::{Cloud, file, not_run};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_its_owner_group_mode_and_content() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    instance.sh("useradd -m app; groupadd team").await;
    let mut sent = file("/opt/app/deep", "run me", b"\0binary\n");
    sent.owner = "app".into();
    sent.group = "team".into();
    sent.mode = 0o4750;
    instance.send(&sent).await.unwrap();
    let seen = instance
        .sh("stat -c '%U %G %a %s' '/opt/app/deep/run me'; stat -c '%U %a' /opt/app")
        .await;
    assert_eq!(seen, "app team 4750 8\nroot 755\n");
    assert_eq!(instance.sh("ls -A /opt/app/deep").await, "run me\n");

    assert_eq!(
        instance.send(&sent).await,
        Err(FileFault::FileAlreadyExists)
    );
    sent.overwrite = true;
    sent.content = vec![b'x'; 32 * 1024];
    sent.mode = 0o600;
    instance.send(&sent).await.unwrap();
    let seen = instance.sh("stat -c '%a %s' '/opt/app/deep/run me'").await;
    assert_eq!(seen, "600 32768\n");
    instance.send(&file("/", "at-the-top", b"")).await.unwrap();
    instance.sh("test -f /at-the-top").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_written_has_its_code() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let with = |change: fn(&mut darkroom_local::driver::FileSpec)| {
        let mut sent = file("/opt", "x", b"x");
        sent.overwrite = true;
        change(&mut sent);
        sent
    };
    for (sent, fault) in [
        (
            with(|f| f.owner = "missing".into()),
            FileFault::UserGroupNotExists,
        ),
        (
            with(|f| f.group = "missing".into()),
            FileFault::UserGroupNotExists,
        ),
        (with(|f| f.mode = 0o10_000), FileFault::FileAuthorityInvalid),
        (with(|f| f.name = "a/b".into()), FileFault::FileNameInvalid),
        (
            with(|f| f.target_dir = "opt".into()),
            FileFault::FilePathInvalid,
        ),
        (
            with(|f| f.target_dir = "/etc/passwd".into()),
            FileFault::FilePathInvalid,
        ),
        (
            with(|f| f.target_dir = "/proc/sys/x".into()),
            FileFault::FilePathInvalid,
        ),
        (
            with(|f| f.target_dir = "/sys".into()),
            FileFault::FileCreateFail,
        ),
        (with(|f| f.name = "..".into()), FileFault::FileNameInvalid),
    ] {
        assert_eq!(instance.send(&sent).await, Err(fault), "{sent:?}");
    }
    instance.sh("mkdir -p /opt/x").await;
    let folder = with(|_| {});
    assert_eq!(instance.send(&folder).await, Err(FileFault::FileCreateFail));
    instance.stop().await;
    let late = instance.send(&with(|_| {})).await;
    assert_eq!(late, Err(FileFault::ClientNotRunning));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_to_places_inside_the_instance_only() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let outside = cloud.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("victim"), "untouched").unwrap();
    let link = format!(
        "ln -s {outside} /opt/link; ln -s {outside}/victim /opt/victim; \
         ln -s ../../../../../../../..{outside} /opt/up",
        outside = outside.display()
    );
    instance.sh(&link).await;
    for folder in ["/opt/link", "/opt/up"] {
        // The folder that the link names doesn't exist inside.
        let mut sent = file(folder, "new", b"x");
        sent.overwrite = true;
        assert!(instance.send(&sent).await.is_err(), "{folder}");
    }
    let mut sent = file("/opt", "victim", b"replaced");
    sent.overwrite = true;
    instance.send(&sent).await.unwrap();
    assert_eq!(instance.sh("cat /opt/victim").await, "replaced");
    assert_eq!(
        std::fs::read_to_string(outside.join("victim")).unwrap(),
        "untouched"
    );
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    instance
        .sh(&format!("mkdir -p {}", outside.display()))
        .await;
    instance
        .send(&file("/opt/link", "new", b"x"))
        .await
        .unwrap();
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_mounted_on_is_written_in_place() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    let mut sent = file("/etc", "resolv.conf", b"# mine\n");
    sent.overwrite = true;
    instance.send(&sent).await.unwrap();
    assert_eq!(instance.sh("cat /etc/resolv.conf").await, "# mine\n");
    assert_eq!(instance.sh("ls -A /etc | grep darkroom || :").await, "");
}

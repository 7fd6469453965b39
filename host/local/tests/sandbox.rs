//! Instances of the sandbox driver, for real: boot, stop, reboot, power cut.

mod sandbox_machine;

use darkroom_local::driver::{Driver, Observed};
use sandbox_machine::{Cloud, not_run};

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
    assert_eq!(
        instance.sh("systemctl is-system-running").await.trim(),
        "running"
    );
    assert_eq!(instance.sh("hostname").await.trim(), "host-2");
    instance.sh("echo kept > /root/file").await;
    instance.stop().await;
    instance.start().await;
    assert_eq!(instance.sh("cat /root/file").await, "kept\n");
    assert_ne!(instance.agent().await, boot_id);
    cloud.driver.delete(&instance.id).await.unwrap();
    cloud.driver.delete(&instance.id).await.unwrap();
    assert_eq!(instance.observe().await, Observed::Gone);
}

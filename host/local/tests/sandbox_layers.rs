//! Disks of instances of the sandbox driver: commit, copy, and what survives.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod sandbox_machine;

use darkroom_ecs::id::RegionId;
use darkroom_local::driver::{Driver, DriverError};
use sandbox_machine::{Cloud, not_run, region};

fn elsewhere() -> RegionId {
    "cn-beijing".parse().unwrap()
}

/// Makes one of everything that an image can hold.
const MAKE: &str = "set -e
mkdir /opt/all; cd /opt/all
useradd -u 4242 -m owner
printf tool > suid; chown owner:owner suid; chmod 6755 suid
echo linked > one; ln one two; ln one /opt/three
cp /bin/cat capable; echo secret > /root/secret; chmod 600 /root/secret
case $(uname -m) in x86_64) set=188 ;; *) set=5 ;; esac
# cap_dac_override, permitted and effective: there is no setcap in the base.
set_attribute='($set, $file, $name, $value) = @ARGV; $value = eval $value;
  exit(syscall($set + 0, $file, $name, $value, length($value), 0) == 0 ? 0 : 1)'
perl -e \"$set_attribute\" $set capable security.capability 'pack(q(V5), 0x02000001, 2, 0, 0, 0)'
perl -e \"$set_attribute\" $set one user.note 'q(kept)'
ln -s /nowhere/at/all link
truncate -s 200M sparse; printf end >> sparse
touch $(printf 'n%.0s' $(seq 255))
mkfifo pipe
mkdir -m 1777 sticky
rm /etc/issue; rm -r /usr/share/bash-completion
rm -r /etc/cron.daily; mkdir /etc/cron.daily; touch /etc/cron.daily/mine
mv /etc/debian_version /opt/all/moved";

/// Looks at all of it.
const LOOK: &str = "cd /opt/all
stat -c '%n %U %g %a %s' suid sticky
setpriv --reuid=owner --regid=owner --clear-groups ./capable /root/secret
case $(uname -m) in x86_64) get=191 ;; *) get=8 ;; esac
perl -e '($get, $file, $name, $value) = @ARGV;
  syscall($get + 0, $file, $name, $value, 4); print $value, qq(\n)' $get one user.note ....
[ one -ef two ] && [ one -ef /opt/three ] && echo same
readlink link
stat -c '%s' sparse; [ $(stat -c %b sparse) -lt 100 ] && echo sparse; tail -c 3 sparse; echo
ls | grep -c '^n\\{255\\}$'
stat -c %F pipe
cat moved
for gone in /etc/issue /usr/share/bash-completion /etc/debian_version; do
  [ -e $gone ] || echo gone $gone
done
ls -A /etc/cron.daily";

#[tokio::test(flavor = "multi_thread")]
async fn an_image_holds_exactly_what_the_instance_held() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let instance = cloud.instance().await;
    instance.sh(MAKE).await;
    let was = instance.sh(LOOK).await;
    assert!(was.contains("\nsecret\nkept\n"), "{was}");
    assert!(was.contains("gone /etc/issue\n"), "{was}");
    assert!(was.contains("suid owner 4242 6755 4\n"), "{was}");
    // One that runs is copied, and goes on with the layers that it has.
    let copied = cloud.driver.commit(&instance.id, "c-0").await.unwrap();
    assert_eq!(copied.layers.len(), 2);
    instance.stop().await;
    let commit = cloud.driver.commit(&instance.id, "c-1").await.unwrap();
    assert_eq!(commit.layers.len(), 2);
    assert_eq!(
        cloud.driver.commit(&instance.id, "c-1").await.unwrap(),
        commit
    );

    // The instance goes on above the layer.
    instance.start().await;
    assert_eq!(instance.sh(LOOK).await, was);
    assert_eq!(
        cloud.driver.commit(&instance.id, "c-1").await.unwrap(),
        commit
    );
    cloud.driver.delete(&instance.id).await.unwrap();

    // A copy outlives its source.
    let driver = &cloud.driver;
    driver
        .copy_layers(&region(), &elsewhere(), &commit.layers)
        .await
        .unwrap();
    driver
        .delete_layers(&region(), &commit.layers)
        .await
        .unwrap();
    driver
        .delete_layers(&region(), &commit.layers)
        .await
        .unwrap();
    let again = driver
        .copy_layers(&region(), &elsewhere(), &commit.layers)
        .await;
    again.unwrap();
    let mut spec = cloud.spec(&commit.layers, false);
    assert!(matches!(
        driver.create(&spec).await,
        Err(DriverError::NoLayer { .. })
    ));
    spec.region = elsewhere();
    let copy = cloud.instance_of(&spec).await;
    assert_eq!(copy.sh(LOOK).await, was);
    assert_ne!(
        copy.sh("cat /etc/machine-id").await.len(),
        0,
        "an id that was made before the commit is part of it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_writes_are_the_same_layer_and_nothing_is_an_empty_one() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let mut tops = Vec::new();
    for _ in 0..2 {
        let spec = cloud.spec(&cloud.layers, false);
        cloud.driver.create(&spec).await.unwrap();
        let commit = cloud.driver.commit(&spec.id, "c-1").await.unwrap();
        tops.push(commit.layers.last().unwrap().clone());
        let second = cloud.driver.commit(&spec.id, "c-2").await.unwrap();
        assert_eq!(second.layers.len(), 3);
        assert_eq!(second.layers[1], second.layers[2]);
    }
    assert_eq!(tops[0], tops[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_layers_than_can_be_mounted_are_refused() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let layers = vec![cloud.layers[0].clone(); 401];
    let error = cloud
        .driver
        .create(&cloud.spec(&layers, false))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("401 layers"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_stack_boots() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let spec = cloud.spec(&cloud.layers, false);
    cloud.driver.create(&spec).await.unwrap();
    let upper = cloud
        .folder
        .path()
        .join("instances")
        .join(spec.id.as_str())
        .join("disk/upper");
    for number in 0..60 {
        std::fs::write(upper.join(format!("layer-{number}")), "x").unwrap();
        let commit = format!("c-{number}");
        cloud.driver.commit(&spec.id, &commit).await.unwrap();
    }
    let instance = sandbox_machine::Instance {
        cloud: &cloud,
        id: spec.id.clone(),
    };
    instance.start().await;
    assert_eq!(instance.sh("ls / | grep -c layer-").await, "60\n");
}

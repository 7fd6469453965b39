//! The supervisor: a process of its own for each running instance, the parent of
//! its init.
//!
//! It is the same executable started again ([`supervise`]) and belongs to the
//! instance, not to the server: it goes on when the server dies and answers the next
//! one. It boots the instance ([`machine`]), keeps its life ([`keeper`]), runs its
//! commands ([`commands`]), writes its files ([`files`]) and serves its network.
//! What must outlive it is in files of the instance's folder, written before it is
//! told to anybody. Killed, it takes everything with it: a power cut.
//!
//! It must not touch anything outside of its instance's folder and control groups,
//! and must not know anything of ECS.

pub mod commands;
pub mod files;
pub mod keeper;
pub mod log;
pub mod machine;
pub mod output;
pub mod protocol;
mod serve;
mod shell;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::cgroup::Layout;
use super::folder::{Folder, Identity, read_json, write_json};
use super::network::policy::Block;
use super::root_fs::{Owners, Parts};
use super::rootless::{Standing, raise_descriptor_limit};
use super::{first_id, network};
use keeper::{Keeper, Shared};
use log::Log;
use machine::{Recipe, named};
use protocol::{Answer, Orders, PROTOCOL};

/// A driver that looks whether somebody has the lock holds it for a moment.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the instance in `folder` until it is down, and returns then. Descriptor 1
/// must be the pipe on which the driver waits for one line.
///
/// Call it on the process's first thread, whose end would kill the instance.
pub fn supervise(folder: &Path) -> ExitCode {
    let folder = Folder::new(folder);
    let Ok(log) = Log::open(&folder.file("supervisor.log")) else {
        tell(&Answer::Failed("the instance's folder is gone".into()));
        return ExitCode::FAILURE;
    };
    let shared = Shared::new(folder.clone(), log);
    match run(&folder, &shared) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shared.log.say(&format!("not started: {error}"));
            tell(&Answer::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Folder, shared: &std::sync::Arc<Shared>) -> io::Result<()> {
    raise_descriptor_limit();
    let _lock = lock(folder)?;
    write_json(&folder.file("supervisor.json"), &Identity::own()?)?;
    let orders: Orders = read_json(&folder.file("orders.json"))?;
    if orders.protocol != PROTOCOL {
        return Err(io::Error::other(format!(
            "these orders are of protocol {}, this program's is {PROTOCOL}",
            orders.protocol
        )));
    }
    let build = &orders.build_id;
    shared
        .log
        .say(&format!("supervisor, started by build {build}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("serve")
        .enable_all()
        .build()?;
    let keeper = Keeper::new(
        folder.clone(),
        recipe(folder, &orders)?,
        Duration::from_millis(orders.stop_grace),
        runtime.handle().clone(),
        std::sync::Arc::clone(shared),
    );
    let boot_id = keeper.boot()?;
    let listener = listen(folder)?;
    tell(&Answer::Running {
        boot_id,
        agent: false,
    });
    keeper.keep(listener);
    // Answers that are on their way still go out.
    runtime.shutdown_timeout(Duration::from_millis(200));
    Ok(())
}

fn lock(folder: &Folder) -> io::Result<fs::File> {
    let end = Instant::now() + LOCK_PATIENCE;
    loop {
        if let Some(lock) = folder.lock()? {
            return Ok(lock);
        }
        if Instant::now() > end {
            return Err(io::Error::other("another supervisor has this instance"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Makes the socket that only root can reach.
fn listen(folder: &Folder) -> io::Result<UnixListener> {
    let path = folder.file("supervisor.sock");
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = folder.with_socket(|short| UnixListener::bind(short))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn recipe(folder: &Folder, orders: &Orders) -> io::Result<Recipe> {
    let spec = folder.spec()?;
    let address: Block = spec.private_ip.parse().map_err(io::Error::other)?;
    let layers = folder.disk()?.layers;
    Ok(Recipe {
        parts: Parts {
            layers: layers
                .iter()
                .map(|layer| orders.layers.join(layer.as_str()).join("rootfs"))
                .collect(),
            disk: folder.disk_folder(),
            owners: match Standing::own() {
                Standing::Root => Owners::Mapped {
                    first: first_id(&orders.group),
                },
                Standing::Namespace | Standing::User => Owners::Same,
            },
        },
        network: network::Plan {
            address: address.address(),
            range: address,
            internet: spec.internet,
            deny: orders.deny.clone(),
        },
        host_name: spec.host_name,
        memory_mib: spec.memory_mib,
        layout: Layout::discover().map_err(io::Error::other)?,
        group: orders.group.clone(),
    })
}

/// Says one line to the driver that waits, and closes the pipe. A driver that died
/// meanwhile asks the socket later.
fn tell(answer: &Answer) {
    if let Ok(mut line) = serde_json::to_vec(answer) {
        line.push(b'\n');
        let _ = rustix::io::write(rustix::stdio::stdout(), &line);
    }
    let null = fs::OpenOptions::new().write(true).open("/dev/null");
    if let Ok(null) = null.map_err(|error| named("opening /dev/null", &error)) {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

//! Nothing is lost when something is killed: the build, the server of the local cloud or
//! an instance's supervisor, each by SIGKILL, each during a command, imaging, a copy and
//! cleanup.
//!
//! Each test holds one process at a fail point, looks that it is the one that is meant,
//! kills it, and lets the rest go on: a killed build is resumed; a build whose server or
//! instance was killed must end by itself. Then the world must be as after a build in
//! which nothing was killed, which is made once and compared with (see [`books`]).
//!
//! The sandbox really runs everything here; without root the tests say 'not run'.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

#[path = "kills/books.rs"]
mod books;
#[path = "kills/scene.rs"]
mod scene;

use std::sync::OnceLock;

use darkroom_tests::house::{House, sandbox_can_run};

use crate::books::Books;
use crate::scene::{Kind, Scene};

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Build,
    Server,
    Supervisor,
}

/// What is being done meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Command,
    Imaging,
    Copy,
    Cleanup,
}

impl Victim {
    const ALL: [Self; 3] = [Self::Build, Self::Server, Self::Supervisor];
}

impl Moment {
    const ALL: [Self; 4] = [Self::Command, Self::Imaging, Self::Copy, Self::Cleanup];
}

/// The point at which somebody is held. An instance takes no part in a copy: there the
/// server is held, and the supervisor of the test instance is killed beside it.
fn point(victim: Victim, moment: Moment) -> &'static str {
    match (victim, moment) {
        (Victim::Build, Moment::Command) => "engine.command",
        (Victim::Build, Moment::Imaging) => "engine.imaging",
        (Victim::Build, Moment::Copy) => "engine.copy",
        (Victim::Build, Moment::Cleanup) => "engine.cleanup",
        (Victim::Server, Moment::Command) => "server.command",
        (Victim::Server, Moment::Imaging) => "server.imaging",
        (Victim::Server | Victim::Supervisor, Moment::Copy) => "server.copy",
        (Victim::Server, Moment::Cleanup) => "server.cleanup",
        (Victim::Supervisor, Moment::Command) => "supervisor.command",
        (Victim::Supervisor, Moment::Imaging) => "supervisor.stop",
        (Victim::Supervisor, Moment::Cleanup) => "supervisor.delete",
    }
}

/// One named test for each pair, and the list of them.
macro_rules! kills {
    ($($name:ident: $victim:ident, $moment:ident;)*) => {
        const KILLS: &[(Victim, Moment)] = &[$((Victim::$victim, Moment::$moment)),*];
        $(
            #[test]
            fn $name() {
                survive(Victim::$victim, Moment::$moment);
            }
        )*
    };
}

kills! {
    the_build_is_killed_during_a_command: Build, Command;
    the_build_is_killed_during_imaging: Build, Imaging;
    the_build_is_killed_during_a_copy: Build, Copy;
    the_build_is_killed_during_cleanup: Build, Cleanup;
    the_server_is_killed_during_a_command: Server, Command;
    the_server_is_killed_during_imaging: Server, Imaging;
    the_server_is_killed_during_a_copy: Server, Copy;
    the_server_is_killed_during_cleanup: Server, Cleanup;
    a_supervisor_is_killed_during_a_command: Supervisor, Command;
    a_supervisor_is_killed_after_the_stop_was_accepted: Supervisor, Imaging;
    the_test_instances_supervisor_is_killed_during_a_copy: Supervisor, Copy;
    the_deleted_instances_supervisor_is_killed_during_cleanup: Supervisor, Cleanup;
}

#[test]
fn everything_is_killed_at_every_moment_once() {
    for victim in Victim::ALL {
        for moment in Moment::ALL {
            let tests = KILLS.iter().filter(|kill| **kill == (victim, moment));
            assert_eq!(tests.count(), 1, "{victim:?} during {moment:?}");
        }
    }
    assert_eq!(KILLS.len(), Victim::ALL.len() * Moment::ALL.len());
}

/// The books of a build in which nothing was killed.
fn undisturbed() -> &'static Books {
    static UNDISTURBED: OnceLock<Books> = OnceLock::new();
    UNDISTURBED.get_or_init(|| {
        let house = House::sandbox();
        let arguments = scene::arguments(&house, Kind::default());
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        house.succeed(&arguments);
        Books::read(&house)
    })
}

/// Kills `victim` at `moment` of a build, which must come to its end all the same.
fn survive(victim: Victim, moment: Moment) {
    if !sandbox_can_run() {
        return;
    }
    let undisturbed = undisturbed();
    let house = House::sandbox();
    let point = point(victim, moment);
    let kind = Kind {
        hold: moment == Moment::Command,
        ..Kind::default()
    };
    let mut scene = Scene::begin(&house, point, kind);
    let held = scene.reached();
    let pid = if (victim, moment) == (Victim::Supervisor, Moment::Copy) {
        scene.supervisor("test")
    } else {
        held
    };
    scene.is_a(victim, pid);
    if moment == Moment::Command {
        scene.wait_for_the_command();
    }
    Scene::kill(pid);
    match (victim, moment) {
        // The command that it was held in ends while nobody looks.
        (Victim::Build, Moment::Command) => scene.let_the_command_end(true),
        (Victim::Server, Moment::Command) => scene.let_the_command_end(false),
        (Victim::Supervisor, Moment::Copy) => scene.let_go(),
        _ => {}
    }
    if victim == Victim::Build {
        scene.was_killed();
        house.succeed(&["resume", "last"]);
    } else {
        scene.succeeds();
    }
    let interrupted = (victim, moment) == (Victim::Supervisor, Moment::Command);
    let attempts: &[_] = if interrupted {
        &[("1", true), ("1.2", false)]
    } else {
        &[("1", false)]
    };
    let books = Books::read(&house);
    assert_eq!(books.first_steps_attempts(), attempts);
    books.compare(undisturbed);
}

/// The server that the killed build was starting has the lock, and nobody finds it yet:
/// the next command waits for it.
#[test]
fn the_build_is_killed_while_it_starts_the_server() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let mut scene = Scene::begin(&house, "server.start", Kind::default());
    scene.reached();
    scene.kill_build();
    scene.was_killed();
    // It had not begun a run.
    let mut next = scene.next(&["build", "image.yaml"]);
    scene::wait_for_servers(&house, 2);
    scene.let_go();
    assert!(next.wait().unwrap().success());
    Books::read(&house).compare(undisturbed());
}

/// A supervisor that dies while it boots leaves nobody who waits for it and holds what
/// its successor needs.
#[test]
fn a_supervisor_is_killed_while_it_boots() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let mut scene = Scene::begin(&house, "supervisor.boot", Kind::default());
    let pid = scene.reached();
    scene.is_a(Victim::Supervisor, pid);
    Scene::kill(pid);
    scene.succeeds();
    Books::read(&house).compare(undisturbed());
}

/// The build first looks at each new instance when that has come up and lost its power
/// again: Running, which it waits for, was before.
#[test]
fn supervisors_are_killed_before_the_build_has_seen_their_instances_run() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let mut scene = Scene::begin(&house, "engine.launched", Kind::default());
    for purpose in ["build", "test"] {
        scene.reached();
        let pid = scene.booted(purpose);
        Scene::kill(pid);
        scene.let_go();
    }
    scene.succeeds();
    Books::read(&house).compare(undisturbed());
}

/// Cuts the build instance's power while the build is held at `point`, which it comes to
/// `times` times; it must go on by itself.
fn survive_a_power_cut(point: &'static str, times: usize, kind: Kind) {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let mut scene = Scene::begin(&house, point, kind);
    for time in 0..times {
        scene.reached();
        if time == 0 {
            let pid = scene.booted("build");
            Scene::kill(pid);
        }
        scene.let_go();
    }
    scene.succeeds();
    Books::read(&house).compare_bills(undisturbed());
}

/// The power is cut on the new boot, which the build has ordered and not seen yet.
#[test]
fn a_supervisor_is_killed_during_a_reboot() {
    let kind = Kind {
        reboot: true,
        ..Kind::default()
    };
    survive_a_power_cut("engine.reboot", 1, kind);
}

/// The power is cut between the look at the boot id and the order.
#[test]
fn a_supervisor_is_killed_before_a_reboot() {
    let kind = Kind {
        reboot: true,
        ..Kind::default()
    };
    survive_a_power_cut("engine.order", 2, kind);
}

#[test]
fn a_supervisor_is_killed_before_a_file_is_sent() {
    survive_a_power_cut("engine.file", 1, Kind::default());
}

/// A log that is too long for the agent is measured and read again from its beginning.
#[test]
fn a_supervisor_is_killed_while_a_long_log_is_read() {
    let kind = Kind {
        talk: true,
        ..Kind::default()
    };
    survive_a_power_cut("engine.fetch", 2, kind);
}

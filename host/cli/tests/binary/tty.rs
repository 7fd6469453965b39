//! What a person at a terminal sees: questions, colours, the picture of a run. The
//! terminal is a pseudo terminal of the test's own.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::pty::OpenptFlags;

use crate::desk::{Desk, TINY, components};

/// A program at a terminal.
struct Seat {
    child: Child,
    keys: File,
    screen: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Seat {
    fn take(mut command: Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&ours).unwrap();
        rustix::pty::unlockpt(&ours).unwrap();
        let size = rustix::termios::Winsize {
            ws_row: 40,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&ours, size).unwrap();
        let theirs = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        let peer = rustix::pty::ioctl_tiocgptpeer(&ours, flags).unwrap();
        command
            .stdin(theirs(&peer))
            .stdout(theirs(&peer))
            .stderr(theirs(&peer))
            .env("TERM", "xterm-256color");
        let child = command.spawn().unwrap();
        drop((command, peer));
        let screen = Arc::new(Mutex::new(String::new()));
        let mut read = File::from(ours.try_clone().unwrap());
        let shown = Arc::clone(&screen);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The kernel says by an error that nobody holds the other end any more.
            while let Ok(count @ 1..) = read.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                shown.lock().unwrap().push_str(&text);
            }
        });
        Self {
            child,
            keys: File::from(ours),
            screen,
            reader,
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        let begun = Instant::now();
        while !self.screen().contains(text) {
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "never `{text}`: {}",
                self.screen()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn ends(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        // What it wrote last may not have been read yet.
        self.reader.join().unwrap();
        let screen = self.screen.lock().unwrap().clone();
        (code, screen)
    }
}

#[test]
fn what_destroys_is_asked_and_no_is_the_default() {
    let desk = Desk::new();
    let mut seat = Seat::take(desk.darkroom(&["local", "reset"]));
    seat.shows("Remove all instances");
    seat.types("\r");
    let (code, screen) = seat.ends();
    assert_eq!(code, Some(130), "{screen}");
    assert!(screen.contains("nothing was removed"), "{screen}");
    let mut seat = Seat::take(desk.darkroom(&["local", "reset"]));
    seat.shows("Remove all instances");
    seat.types("y");
    let (code, screen) = seat.ends();
    assert_eq!(code, Some(0), "{screen}");
    // In CI nobody is asked, even at a terminal.
    let mut command = desk.darkroom(&["local", "reset"]);
    command.env("CI", "true");
    let (code, screen) = Seat::take(command).ends();
    assert_eq!(code, Some(2), "{screen}");
}

#[test]
fn init_asks_for_what_is_not_said() {
    let desk = Desk::new();
    let words = ["init", "web", "--install", "nginx", "--run", "nginx -t"];
    let mut seat = Seat::take(desk.darkroom(&words));
    seat.shows("What is the template called?");
    seat.types("\r");
    seat.shows("What is it made from?");
    seat.types("\r");
    seat.shows("May the instance reach the internet");
    seat.types("n");
    seat.shows("Which family");
    seat.types("\r");
    let (code, screen) = seat.ends();
    assert_eq!(code, Some(0), "{screen}");
    let made = std::fs::read_to_string(desk.at("web/image.yaml")).unwrap();
    assert!(
        made.contains("name: web") && made.contains("debian-12"),
        "{made}"
    );
    assert!(!made.contains("internet:"), "{made}");
}

#[test]
fn errors_are_coloured_at_a_terminal_unless_that_is_not_wanted() {
    let desk = Desk::new();
    let words = ["build", "missing.yaml"];
    let red = "\x1b[31;1m";
    let (_, screen) = Seat::take(desk.darkroom(&words)).ends();
    assert!(screen.contains(red), "{screen}");
    let mut command = desk.darkroom(&words);
    command.env("NO_COLOR", "1");
    let (_, screen) = Seat::take(command).ends();
    assert!(!screen.contains('\x1b'), "{screen}");
    let piped = desk.run(&words).expect(2);
    assert!(!piped.err.contains('\x1b'), "{}", piped.err);
    let mut command = desk.darkroom(&words);
    command.env("CLICOLOR_FORCE", "1");
    let forced = command.output().unwrap();
    assert!(String::from_utf8(forced.stderr).unwrap().contains(red));
}

#[test]
fn a_run_is_a_picture_and_its_failure_is_asked_about() {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let desk = Desk::new();
    desk.write("image.yaml", &TINY.replace("echo hello", "install-it"));
    desk.run(&["image", "list"]).expect(0);
    let rule = serde_json::json!({"match": "install-it", "exit_code": 3, "output": "no\n"});
    desk.sim(&serde_json::json!({ "rules": [rule] }));
    let mut seat = Seat::take(desk.darkroom(&["build", "--on-failure", "ask"]));
    seat.shows("Keep the instance i-");
    seat.types("n");
    let (code, screen) = seat.ends();
    assert_eq!(code, Some(4), "{screen}");
    // The picture hides the cursor while it moves, and gives it back.
    let hidden = screen.rfind("\x1b[?25l").unwrap();
    assert!(screen[hidden..].contains("\x1b[?25h"), "{screen}");
    let nothing = desk.run(&["runs", "cleanup", "last"]).expect(0);
    assert!(nothing.err.contains("has kept nothing"), "{}", nothing.err);
}

#[test]
fn a_command_of_a_template_is_asked_for_once() {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let desk = Desk::new();
    let from = "secrets: { key: { command: [sh, -c, 'echo x >> ran; exit 3'] } }\n";
    desk.write("image.yaml", &format!("{TINY}{from}"));
    let times = || std::fs::read_to_string(desk.at("ran")).map_or(0, |text| text.lines().count());
    let build = || Seat::take(desk.darkroom(&["build"]));
    // Who only looks sees it, and runs nothing.
    for verb in ["validate", "plan"] {
        let ran = desk.run(&[verb]).expect(0);
        assert!(ran.err.contains("echo x >> ran"), "{}", ran.err);
    }
    let nobody = desk.run(&["build"]).expect(2);
    assert!(nobody.err.contains("`--yes`"), "{}", nobody.err);
    let mut seat = build();
    seat.shows("Run this on this machine");
    seat.types("n");
    let (code, screen) = seat.ends();
    assert_eq!((code, times()), (Some(130), 0), "{screen}");
    let mut seat = build();
    seat.shows("Run this on this machine");
    seat.types("y");
    let (code, screen) = seat.ends();
    assert_eq!((code, times()), (Some(2), 1), "{screen}");
    let (code, screen) = build().ends();
    assert_eq!((code, times()), (Some(2), 2), "{screen}");
    // Another command is asked for again.
    desk.write("image.yaml", &format!("{TINY}{}", from.replace('3', "4")));
    desk.run(&["build"]).expect(2);
    assert_eq!(times(), 2);
    desk.run(&["build", "--yes"]).expect(2);
    assert_eq!(times(), 3);
}

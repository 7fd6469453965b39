//! A program at a pseudo terminal of the test's own: what is typed and what it shows.
//!
//! Used by tests of what asks, or is a shell. It reads until the program has ended.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::house::wait_for;

/// A program at a terminal of 100 columns.
pub struct Seat {
    child: Child,
    keys: File,
    screen: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Seat {
    /// Starts a program whose three streams are the terminal.
    pub fn take(mut command: Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&ours).unwrap();
        rustix::pty::unlockpt(&ours).unwrap();
        let size = Winsize {
            ws_row: 40,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&ours, size).unwrap();
        let peer = rustix::pty::ioctl_tiocgptpeer(&ours, flags).unwrap();
        let stream = || Stdio::from(peer.try_clone().unwrap());
        command.stdin(stream()).stdout(stream()).stderr(stream());
        let child = command.env("TERM", "xterm-256color").spawn().unwrap();
        // The command holds the other end, too.
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

    /// Types keys, as they are.
    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Everything that has been shown until now.
    pub fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// Waits until a text is shown.
    pub fn shows(&self, text: &str) {
        wait_for(text, || self.screen().contains(text).then_some(()));
    }

    /// Waits for the program's end; its exit code and all that it has shown.
    pub fn ends(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        // What it wrote last may not have been read yet.
        self.reader.join().unwrap();
        let screen = self.screen.lock().unwrap().clone();
        (code, screen)
    }
}

//! A place to run `darkroom` in: its own roots, home and environment, and nothing of
//! the person who runs the tests. The server that was started goes with it.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use darkroom_local::ServerFile;
use serde_json::Value;

/// A template that needs no component but those of every build.
pub(crate) const TINY: &str =
    "name: tiny\nsource: { family: debian-12 }\nrepair: none\nbuild:\n  - run: echo hello\n";

/// Long enough for a machine that does other things as well.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Desk {
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.at(path);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// `darkroom` with these words.
    pub(crate) fn darkroom(&self, words: &[&str]) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_darkroom")), words)
    }

    pub(crate) fn program(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.at("home"))
            .env("DARKROOM_STATE", self.at("state"))
            .env("DARKROOM_CACHE", self.at("cache"))
            .env("DARKROOM_DRIVER", "sim")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        if let Some(components) = components() {
            command.env("DARKROOM_COMPONENTS", components);
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        Ran::of(self.darkroom(words).output().unwrap())
    }

    /// The running server.
    pub(crate) fn server(&self) -> ServerFile {
        let server = ServerFile::read(&self.at("state/local")).unwrap();
        server.expect("a server should be running")
    }

    /// Tells the sim driver how long things take and what commands come to.
    pub(crate) fn sim(&self, change: &Value) {
        self.admin("PUT", "sim", change);
    }

    /// Asks the server's admin API.
    pub(crate) fn admin(&self, method: &str, page: &str, change: &Value) -> Value {
        let server = self.server();
        let authority = server.url.strip_prefix("http://").unwrap();
        let body = change.to_string();
        let mut request = String::new();
        write!(
            request,
            "{method} /-/{page} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            server.token,
            body.len()
        )
        .unwrap();
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // A test that failed before has said why.
        drop(self.darkroom(&["local", "stop"]).output());
    }
}

/// What came of a command.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails the test with all that was said unless it ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "out: {}\nerr: {}",
            self.out,
            self.err
        );
        self
    }

    /// Standard output as JSON, one value a line.
    pub(crate) fn json(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The system components, if they have been built: `make test` does that first.
pub(crate) fn components() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_darkroom"))
        .ancestors()
        .nth(2)?;
    let folder = target.join("components");
    folder.join("generalize.wasm").exists().then_some(folder)
}

/// Waits until something is so, and fails the test when it never is.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process in a group of its own, so that a signal meant for it alone reaches nobody
/// else; killed when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        Self(command.spawn().unwrap())
    }

    pub(crate) fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    pub(crate) fn ended(mut self) -> Ran {
        let mut out = Vec::new();
        let mut err = Vec::new();
        self.0.stdout.take().unwrap().read_to_end(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_end(&mut err).unwrap();
        let status = self.0.wait().unwrap();
        Ran::of(Output {
            status,
            stdout: out,
            stderr: err,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

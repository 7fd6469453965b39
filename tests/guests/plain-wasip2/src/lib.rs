//! A component that does everything a pure program shouldn't: prints, iterates over
//! a hash map, looks at clocks, sleeps, opens files and sockets. On the empty WASI
//! it must do all of that in the same way each time, and reach nothing.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

wit_bindgen::generate!({
    path: "../../../wit",
    world: "builder-only",
});

use darkroom::component::{inputs, report, steps};
use exports::darkroom::component::{about, builder};

struct Plain;

impl about::Guest for Plain {
    fn describe() -> String {
        r#"{
            "summary": "Does what a component should not",
            "parameters": {
                "type": "object",
                "properties": { "panic": { "type": "boolean", "default": false } }
            }
        }"#
        .into()
    }
}

impl builder::Guest for Plain {
    fn build() -> Result<(), String> {
        println!("nobody reads this");
        let map: HashMap<_, _> = (0..20).map(|n| (format!("key-{n}"), n)).collect();
        let order: Vec<_> = map.values().collect();
        let asked = steps::shell("hash map", &format!("echo {order:?}"));

        let begun = Instant::now();
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        thread::sleep(Duration::from_secs(3600));
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            thread::sleep(Duration::from_secs(1));
        }
        steps::shell("clock", &format!("echo {unix:?} {:?}", begun.elapsed()));

        steps::shell("tcp", &outcome(TcpStream::connect("127.0.0.1:22")));
        steps::shell("udp", &outcome(UdpSocket::bind("127.0.0.1:0")));
        steps::shell("name", &outcome("localhost:80".to_socket_addrs()));
        steps::shell("read", &outcome(std::fs::read("/etc/passwd")));
        steps::shell("write", &outcome(std::fs::write("/tmp/darkroom", "x")));
        let variables = std::env::vars().count();
        steps::shell("environment", &format!("echo {variables}"));

        // Everything above runs twice: before the answer, and after it.
        let answer = steps::output(asked);
        report::info(&answer);
        if inputs::flag("panic") == Some(true) {
            eprintln!("about to fail");
            let nothing: Option<u8> = None;
            nothing.expect("the flux capacitor is missing");
        }
        Ok(())
    }
}

fn outcome<T: Debug>(result: std::io::Result<T>) -> String {
    match result {
        Ok(value) => format!("reached {value:?}"),
        Err(error) => format!("refused {:?}", error.kind()),
    }
}

export!(Plain);

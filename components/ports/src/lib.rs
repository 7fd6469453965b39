//! The component `ports`: tests what listens on the machine, and what does not.
//!
//! A tester. It reads the kernel's own tables, needs no tool for that, connects to nothing
//! and starts nothing. `sockets` reads what `look.sh` prints; each port is a case.

mod sockets;

use darkroom::{About, Description, Json, Parameter, Tester, component, inputs, report, shell};
use sockets::Socket;
use std::net::IpAddr;

struct Ports;

impl About for Ports {
    fn describe() -> Description {
        let port = || {
            Parameter::integer("port", "Its number")
                .required()
                .minimum(1)
                .maximum(65535)
        };
        let protocol = || {
            Parameter::text("protocol", "Its protocol")
                .one_of(["tcp", "udp"])
                .default("tcp")
        };
        let address = |about| {
            Parameter::text("address", about)
                .pattern(r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$")
        };
        Description::new("Tests what listens on the machine, and what does not")
            .parameter(Parameter::objects(
                "listening",
                "Ports on which something must listen",
                [
                    port(),
                    protocol(),
                    address("An address at which it must be reached; else any"),
                    Parameter::text(
                        "process",
                        "The name of the process, as `ps -o comm` shows it",
                    )
                    .pattern("^[^/\n]{1,15}$"),
                ],
            ))
            .parameter(Parameter::objects(
                "closed",
                "Ports on which nothing may listen",
                [
                    port(),
                    protocol(),
                    address("Only at this address; else at any"),
                ],
            ))
            .parameter(
                Parameter::flag(
                    "only",
                    "Nothing else than what is in `listening` may be reached from outside",
                )
                .default(false),
            )
            .parameter(
                Parameter::integer("wait", "Seconds to wait for what must listen")
                    .default(30)
                    .minimum(0)
                    .maximum(600),
            )
            .family("linux")
    }
}

/// A port as the template names it.
struct Port {
    number: u16,
    protocol: String,
    address: Option<IpAddr>,
    process: Option<String>,
}

impl Tester for Ports {
    fn test() -> Result<(), String> {
        let (listening, closed) = (ports("listening")?, ports("closed")?);
        let only = inputs::flag("only") == Some(true);
        if listening.is_empty() && closed.is_empty() && !only {
            return Err(
                "give `listening`, `closed` or `only`: there is nothing to test".to_owned(),
            );
        }
        let wait = inputs::integer("wait").unwrap_or(30).clamp(0, 600);
        let wanted = listening
            .iter()
            .map(|port| format!("{}:{:04X}", port.protocol, port.number));
        let named = listening.iter().any(|port| port.process.is_some()) || only;
        let look = shell("look at the sockets", include_str!("look.sh"))
            .environment("WAIT", wait.to_string())
            .environment("PROCESSES", if named { "yes" } else { "" })
            .arguments(wanted)
            .timeout(u32::try_from(wait).unwrap_or(0) * 3 + 60)
            .tolerate();
        if !look.succeeded() {
            return Err(format!(
                "the sockets could not be looked at: {}",
                look.output()
            ));
        }
        let sockets = sockets::read(&String::from_utf8_lossy(&look.read_all()));
        for port in &listening {
            listens(port, &sockets);
        }
        for port in &closed {
            is_closed(port, &sockets);
        }
        if only {
            nothing_else(&listening, &sockets);
        }
        Ok(())
    }
}

/// The ports of a parameter.
///
/// # Errors
/// An address that is none.
fn ports(parameter: &str) -> Result<Vec<Port>, String> {
    let list = inputs::json(parameter).unwrap_or(Json::Null);
    let ports = list.as_list().iter().map(|port| {
        let text = |name: &str| port.get(name).and_then(Json::as_text);
        let address = text("address").map(|text| {
            text.parse()
                .map_err(|_| format!("`{parameter}`: {text} is no address"))
        });
        let number = port.get("port").and_then(Json::as_integer);
        Ok(Port {
            number: number
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or(0),
            protocol: text("protocol").unwrap_or("tcp").to_owned(),
            address: address.transpose()?,
            process: text("process").map(ToOwned::to_owned),
        })
    });
    ports.collect()
}

impl Port {
    fn words(&self) -> String {
        let port = format!("{} port {}", self.protocol, self.number);
        match self.address {
            Some(address) => format!("{port} at {address}"),
            None => port,
        }
    }

    fn is(&self, socket: &Socket) -> bool {
        socket.port == self.number && socket.protocol == self.protocol
    }
}

fn listens(port: &Port, sockets: &[Socket]) {
    let case = match &port.process {
        Some(process) => format!("{process} listens on {}", port.words()),
        None => format!("something listens on {}", port.words()),
    };
    let here: Vec<_> = sockets.iter().filter(|socket| port.is(socket)).collect();
    let reached: Vec<_> = here
        .iter()
        .filter(|socket| port.address.is_none_or(|address| socket.is_at(address)))
        .collect();
    if here.is_empty() {
        return report::failed(case, "nothing listens there");
    }
    if reached.is_empty() {
        let places: Vec<_> = here
            .iter()
            .map(|socket| socket.address.to_string())
            .collect();
        return report::failed(case, format!("it listens at {} only", places.join(", ")));
    }
    let Some(process) = &port.process else {
        return report::passed(case);
    };
    let mut names = reached.iter().flat_map(|socket| &socket.processes);
    if names.clone().any(|name| name == process) {
        report::passed(case);
    } else {
        let message = names.next().map_or_else(
            || "no process of this machine holds the socket".to_owned(),
            |name| format!("it is {name} that listens there"),
        );
        report::failed(case, message);
    }
}

fn is_closed(port: &Port, sockets: &[Socket]) {
    let case = format!("nothing listens on {}", port.words());
    let mut found = sockets
        .iter()
        .filter(|socket| port.is(socket))
        .filter(|socket| port.address.is_none_or(|address| socket.is_at(address)));
    match found.next() {
        None => report::passed(case),
        Some(socket) => report::failed(case, format!("something listens on {}", socket.words())),
    }
}

fn nothing_else(listening: &[Port], sockets: &[Socket]) {
    let case = "nothing else can be reached from outside";
    let mut others: Vec<_> = sockets
        .iter()
        .filter(|socket| socket.is_open() && !listening.iter().any(|port| port.is(socket)))
        .map(|socket| {
            let names: Vec<_> = socket.processes.iter().map(String::as_str).collect();
            match names.join(", ") {
                names if names.is_empty() => socket.words(),
                names => format!("{} ({names})", socket.words()),
            }
        })
        .collect();
    others.sort();
    others.dedup();
    if others.is_empty() {
        report::passed(case);
    } else {
        report::failed(case, others.join(", "));
    }
}

component!(Ports: tester);

#[cfg(test)]
mod tests;

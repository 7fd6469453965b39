//! Answers an instance's DNS questions through the host's resolver.
//!
//! Used by [`super::Network`]. Questions are carried as they are to a name server of
//! the host's `/etc/resolv.conf`, from the host's side, so that every kind of record
//! works and a resolver on the host's loopback does, too. The instance never learns
//! which one it is.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

/// Questions at once; more wait. Stops an instance from taking all descriptors.
const MAXIMUM_QUESTIONS: usize = 64;

/// How long one name server may take.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The longest answer by UDP that any server sends.
const LONGEST: usize = 65_535;

const PORT: u16 = 53;

pub(super) async fn serve_udp(socket: UdpSocket) {
    let socket = Arc::new(socket);
    let places = Arc::new(Semaphore::new(MAXIMUM_QUESTIONS));
    let mut buffer = vec![0; LONGEST];
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let question = buffer.get(..length).unwrap_or_default().to_vec();
        let socket = Arc::clone(&socket);
        tokio::spawn(async move {
            if let Some(answer) = ask_all(&question).await {
                let _ = socket.send_to(&answer, from).await;
            }
            drop(place);
        });
    }
}

async fn ask_all(question: &[u8]) -> Option<Vec<u8>> {
    for server in servers() {
        let asked = tokio::time::timeout(TIMEOUT, ask(server, question)).await;
        if let Ok(Ok(answer)) = asked {
            return Some(answer);
        }
    }
    None
}

async fn ask(server: IpAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect((server, PORT)).await?;
    socket.send(question).await?;
    let mut answer = vec![0; LONGEST];
    loop {
        let length = socket.recv(&mut answer).await?;
        // The answer begins with the question's number.
        if answer.get(..2) == question.get(..2) {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

/// Questions by TCP come with a length before each, and so do the answers: the
/// connection is carried message by message.
pub(super) async fn serve_tcp(listener: TcpListener) {
    let places = Arc::new(Semaphore::new(MAXIMUM_QUESTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((mut inside, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        tokio::spawn(async move {
            for server in servers() {
                let target = SocketAddr::new(server, PORT);
                let connected = tokio::time::timeout(TIMEOUT, TcpStream::connect(target)).await;
                if let Ok(Ok(mut outside)) = connected {
                    let _ = exchange(&mut inside, &mut outside).await;
                    break;
                }
            }
            drop(place);
        });
    }
}

async fn exchange(inside: &mut TcpStream, outside: &mut TcpStream) -> io::Result<()> {
    loop {
        pass_message(inside, outside).await?;
        pass_message(outside, inside).await?;
    }
}

async fn pass_message(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    let length = from.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    from.read_exact(&mut message).await?;
    to.write_u16(length).await?;
    to.write_all(&message).await
}

/// The host's name servers, read anew for each question: they change with the
/// network that a laptop is in.
fn servers() -> Vec<IpAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    parse(&text)
}

fn parse(text: &str) -> Vec<IpAddr> {
    let found: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.trim().parse().ok())
        .collect();
    if found.is_empty() {
        // What the C library does, too.
        return vec![Ipv4Addr::LOCALHOST.into()];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_in_order() {
        let (first, second) = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        let text =
            format!("# x\nsearch a\nnameserver {first}\n  nameserver\t{second}\nnameserver x\n");
        assert_eq!(parse(&text), [IpAddr::from(first), IpAddr::from(second)]);
    }

    #[test]
    fn without_any_the_own_machine_is_asked() {
        assert_eq!(parse(""), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
    }
}

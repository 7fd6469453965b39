//! [`Both`]: a port that speaks https and plain http, as the same host may.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::proxy::Seen;
use crate::server::{certificate, certificate_key};

/// What is answered, status line and headers, to `GET /path` over https or not, at this host.
type Answer = dyn Fn(bool, &str, &str) -> String + Send + Sync;

pub struct Both {
    pub host: String,
    seen: Arc<Mutex<Vec<(bool, Seen)>>>,
}

impl Both {
    /// Bodies are `{}` where an answer announces two bytes.
    pub fn start(answer: impl Fn(bool, &str, &str) -> String + Send + Sync + 'static) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let chain = vec![CertificateDer::from_pem_slice(certificate().as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(certificate_key().as_bytes()).expect("PEM");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a configuration");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let host = format!("localhost:{port}");
        let seen = Arc::default();
        let both = Self {
            host: host.clone(),
            seen: Arc::clone(&seen),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                // Who goes away early is no matter.
                drop(serve(stream, &config, &answer, &host, &seen));
            }
        });
        both
    }

    /// What came over https, or not.
    pub fn seen(&self, tls: bool) -> Vec<Seen> {
        let all = self.seen.lock().expect("not poisoned");
        let these = all.iter().filter(|(over, _)| *over == tls);
        these.map(|(_, seen)| seen.clone()).collect()
    }
}

fn serve(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    answer: &Answer,
    host: &str,
    seen: &Mutex<Vec<(bool, Seen)>>,
) -> std::io::Result<()> {
    let mut first = [0];
    stream.peek(&mut first)?;
    // The first byte of a TLS handshake is its record's type.
    if first[0] != 0x16 {
        return one(stream, false, answer, host, seen);
    }
    let connection = ServerConnection::new(Arc::clone(config)).expect("a connection");
    one(
        StreamOwned::new(connection, stream),
        true,
        answer,
        host,
        seen,
    )
}

fn one(
    stream: impl Read + Write,
    tls: bool,
    answer: &Answer,
    host: &str,
    seen: &Mutex<Vec<(bool, Seen)>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        if stream.read_line(&mut text)? == 0 {
            return Ok(());
        }
    }
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_suffix(" HTTP/1.1").unwrap_or(line).to_owned();
    let headers = text.to_lowercase();
    let said = answer(tls, &line, host);
    seen.lock()
        .expect("not poisoned")
        .push((tls, Seen { line, headers }));
    let body = if said.contains("content-length: 2") {
        "{}"
    } else {
        ""
    };
    let length = if said.contains("content-length") {
        ""
    } else {
        "content-length: 0\r\n"
    };
    write!(
        stream.get_mut(),
        "HTTP/1.1 {said}\r\n{length}connection: close\r\n\r\n{body}"
    )?;
    stream.get_mut().flush()
}

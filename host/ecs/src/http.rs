//! An HTTP request and response as plain data, so that the same bytes can be signed,
//! sent over a socket, handed over in memory, recorded and checked.
//!
//! Nothing here opens a connection or knows ECS.

use bytes::Bytes;

/// Headers in the order in which they travel; names in any case, possibly repeated.
pub type Headers = Vec<(String, String)>;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, such as `POST`.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host, and port unless it is the scheme's: `localhost:8080`.
    pub authority: String,
    /// Path and query exactly as in the request line, such as `/?RegionId=cn-hangzhou`.
    pub target: String,
    /// The headers, with `Host`; without `Content-Length`, which the transport writes.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

impl HttpRequest {
    /// The whole address.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.target)
    }

    /// The path of the target.
    pub fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The query of the target, without the question mark; empty when there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

impl HttpResponse {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let (_, value) = headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(value)
}

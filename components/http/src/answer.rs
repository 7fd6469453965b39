//! An answer over HTTP, as `ask.sh` prints it. Only reads; `lib.rs` judges.

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// An answer.
    Given {
        /// Its status.
        status: u16,
        /// Its headers, names in lower case.
        headers: Vec<(String, String)>,
        /// Its body.
        body: String,
    },
    /// None came, and why.
    None(String),
    /// No program of the machine can ask so.
    Impossible(String),
}

impl Answer {
    /// Reads the output of `ask.sh`. Heads of redirects and of interim answers, each
    /// followed by another head, are passed over.
    pub fn read(output: &str) -> Self {
        if let Some((_, why)) = output.rsplit_once("http.can't: ") {
            return Self::Impossible(why.trim().to_owned());
        }
        let mut rest = output.trim_start_matches('\n');
        let mut found = None;
        while rest.starts_with("HTTP/") {
            let (head, body) = parted(rest);
            let Some(status) = status(head) else { break };
            found = Some((status, head, body));
            rest = body;
        }
        let why = output
            .rsplit_once("\nhttp.error: ")
            .map(|(_, why)| why.trim());
        match (found, why) {
            // Also where an answer had begun: half of one is none.
            (_, Some(why)) => Self::None(why.to_owned()),
            (Some((status, head, body)), None) => Self::Given {
                status,
                headers: headers(head),
                body: body.strip_suffix('\n').unwrap_or(body).to_owned(),
            },
            (None, None) if output.trim().is_empty() => {
                Self::None("it closed the connection".to_owned())
            }
            (None, None) => Self::None("what answers does not speak HTTP".to_owned()),
        }
    }
}

/// Head and body, parted by the first empty line.
fn parted(text: &str) -> (&str, &str) {
    for gap in ["\r\n\r\n", "\n\n"] {
        if let Some(parts) = text.split_once(gap) {
            return parts;
        }
    }
    (text, "")
}

fn status(head: &str) -> Option<u16> {
    head.split_whitespace().nth(1)?.parse().ok()
}

fn headers(head: &str) -> Vec<(String, String)> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Answer;

    fn given(output: &str) -> (u16, usize, String) {
        match Answer::read(output) {
            Answer::Given {
                status,
                headers,
                body,
            } => (status, headers.len(), body),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn head_and_body_are_parted() {
        let text = "HTTP/1.1 200 OK\r\nServer: x\r\nX-Y:  z \r\n\r\nline\n\nlast\n";
        assert_eq!(given(text), (200, 2, "line\n\nlast".into()));
        let Answer::Given { headers, .. } = Answer::read(text) else {
            panic!()
        };
        assert_eq!(headers[1], ("x-y".into(), "z".into()));
        assert_eq!(given("HTTP/1.0 204 No Content\n"), (204, 0, String::new()));
    }

    #[test]
    fn the_last_of_several_heads_counts() {
        let text = "HTTP/1.1 301 Moved\r\nLocation: /b\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
            HTTP/1.1 404 Not Found\r\n\r\nHTTP is what I speak\n";
        assert_eq!(given(text), (404, 0, "HTTP is what I speak".into()));
    }

    #[test]
    fn no_answer_says_why() {
        let none = |why: &str| Answer::None(why.into());
        assert_eq!(
            Answer::read("\nhttp.error: curl: (7) refused\n"),
            none("curl: (7) refused")
        );
        assert_eq!(
            Answer::read("HTTP/1.1 200 OK\r\n\r\nhalf\nhttp.error: curl: (18) partial file\n"),
            none("curl: (18) partial file")
        );
        assert_eq!(Answer::read("\n"), none("it closed the connection"));
        assert_eq!(
            Answer::read("SSH-2.0\n"),
            none("what answers does not speak HTTP")
        );
        assert_eq!(
            Answer::read("\nhttp.can't: no curl\n"),
            Answer::Impossible("no curl".into())
        );
    }
}

//! Answers as bytes: JSON, or XML for clients that ask for it or for nothing.

use bytes::Bytes;
use darkroom_ecs::error::ApiError;
use darkroom_ecs::http::HttpResponse;
use darkroom_ecs::sign::Format;
use serde_json::{Map, Value};

use crate::fault::Fault;

/// What errors say about whom they come from.
const HOST_ID: &str = "ecs.aliyuncs.com";

/// The answer to a request.
pub(crate) fn render(
    action: &str,
    format: Format,
    request_id: &str,
    outcome: Result<Value, Fault>,
) -> HttpResponse {
    let (status, root, value) = match outcome {
        Ok(value) => {
            let mut fields = match value {
                Value::Object(fields) => fields,
                other => Map::from_iter([("Value".to_owned(), other)]),
            };
            fields.insert("RequestId".to_owned(), Value::from(request_id));
            (200, format!("{action}Response"), Value::Object(fields))
        }
        Err(fault) => {
            let error = ApiError {
                request_id: request_id.to_owned(),
                host_id: HOST_ID.to_owned(),
                ..ApiError::new(fault.status, fault.code, fault.message)
            };
            (fault.status, "Error".to_owned(), error.to_json())
        }
    };
    let (kind, body) = match format {
        Format::Json => ("application/json;charset=utf-8", value.to_string()),
        Format::Xml => ("text/xml;charset=utf-8", xml(&root, &value)),
    };
    respond(status, kind, body)
}

/// An answer of the admin API.
pub(crate) fn json(status: u16, value: &Value) -> HttpResponse {
    respond(status, "application/json;charset=utf-8", value.to_string())
}

fn respond(status: u16, kind: &str, body: String) -> HttpResponse {
    HttpResponse {
        status,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: Bytes::from(body),
    }
}

/// A document in ECS's XML: a list is its name again and again.
fn xml(root: &str, value: &Value) -> String {
    let mut out = "<?xml version='1.0' encoding='UTF-8'?>".to_owned();
    element(&mut out, root, value);
    out
}

fn element(out: &mut String, name: &str, value: &Value) {
    let tag = |out: &mut String, open: &str| {
        out.push_str(open);
        out.push_str(name);
        out.push('>');
    };
    match value {
        Value::Null => return,
        Value::Array(items) => {
            return items.iter().for_each(|item| element(out, name, item));
        }
        _ => tag(out, "<"),
    }
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| element(out, name, value)),
        Value::String(text) => out.push_str(&quick_xml::escape::escape(text.as_str())),
        other => out.push_str(&other.to_string()),
    }
    tag(out, "</");
}

#[cfg(test)]
mod tests {
    use darkroom_ecs::error::ErrorCode;
    use serde_json::json;

    use super::*;

    fn text(response: &HttpResponse) -> &str {
        std::str::from_utf8(&response.body).unwrap()
    }

    #[test]
    fn xml_repeats_the_names_of_lists_and_escapes() {
        let value =
            json!({"InstanceIdSets": {"InstanceIdSet": ["i-1", "i-2"]}, "N": 3, "T": "a<b&c"});
        let answer = render("RunInstances", Format::Xml, "r", Ok(value));
        assert_eq!(
            text(&answer),
            "<?xml version='1.0' encoding='UTF-8'?><RunInstancesResponse><InstanceIdSets>\
             <InstanceIdSet>i-1</InstanceIdSet><InstanceIdSet>i-2</InstanceIdSet></InstanceIdSets>\
             <N>3</N><T>a&lt;b&amp;c</T><RequestId>r</RequestId></RunInstancesResponse>"
        );
    }

    #[test]
    fn errors_carry_what_ecs_puts_there() {
        let fault = Fault::missing(ErrorCode::InvalidImageIdNotFound, "no");
        let answer = render("CopyImage", Format::Json, "r-1", Err(fault.clone()));
        assert_eq!(answer.status, 404);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["Code"], "InvalidImageId.NotFound");
        assert_eq!(body["RequestId"], "r-1");
        assert_eq!(body["HostId"], "ecs.aliyuncs.com");
        let answer = render("CopyImage", Format::Xml, "r-1", Err(fault));
        assert!(text(&answer).contains("<Error><RequestId>r-1</RequestId>"));
    }
}

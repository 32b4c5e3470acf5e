//! Amazon resource names of methods.

use std::fmt::{self, Write as _};

use crate::RequestPath;

/// `arn:aws:execute-api:{region}:{account}:{api}/{stage}/{VERB}/{path}` of one request, over its actual path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodArn(String);

impl MethodArn {
    /// The longest ARN that a policy is evaluated for, in bytes; a longer one is answered 414 (Amazon's limit).
    pub const BYTES_MAX: usize = 1600;

    /// The part that all methods of a stage share, with its final slash.
    pub fn stage_prefix(region: &str, account: &str, api: &str, stage: &str) -> String {
        format!("arn:aws:execute-api:{region}:{account}:{api}/{stage}/")
    }

    /// The ARN of a request below a [`MethodArn::stage_prefix`]; the root path gives `…/{VERB}/`.
    pub fn new(stage_prefix: &str, verb: &str, path: RequestPath<'_>) -> Self {
        let path = path.in_arn();
        let mut arn = String::with_capacity(stage_prefix.len() + verb.len() + 1 + path.len());
        let _ = write!(arn, "{stage_prefix}{verb}/{path}"); // writing to a String cannot fail
        Self(arn)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MethodArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_over_the_actual_path() {
        let prefix = MethodArn::stage_prefix("eu-west-1", "123456789012", "proxy", "TEST");
        let arn = |raw| MethodArn::new(&prefix, "GET", RequestPath::parse(raw).unwrap()).to_string();
        assert_eq!(arn("/"), "arn:aws:execute-api:eu-west-1:123456789012:proxy/TEST/GET/");
        assert_eq!(
            arn("/pets/a%2fb"),
            "arn:aws:execute-api:eu-west-1:123456789012:proxy/TEST/GET/pets/a%2Fb"
        );
    }
}

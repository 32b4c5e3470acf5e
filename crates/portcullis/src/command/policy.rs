//! `portcullis policy`.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use portcullis_core::{Clock, MethodArn, RequestPath, SystemClock, Timestamp, Verb};
use portcullis_policy::{
    Action, Context, DOCUMENT_BYTES_MAX, Decision, Effect, ExtraKeys, KeyValue, Policy, PolicyError, Request,
};
use serde_json::{Value, json};

use super::{Exit, parse_pair, read_input};
use crate::{
    config::{ACCOUNT, REGION, is_account, is_region},
    failure::Failure,
    report,
};

const SIMULATE_HELP: &str = "\
Examples:
  portcullis policy simulate --policy policy.json --method GET --path /pets/1
  portcullis policy simulate --policy - --method GET --path / --time 2030-01-01T00:00:00Z --source-ip 203.0.113.7 < policy.json
  portcullis policy simulate --policy p.json --method GET --path /a --context aws:PrincipalTag/team=red --context aws:PrincipalTag/team=blue

Prints the verdict and the statement that gave it; statements are counted from 0. The exit status is 0 when the request \
is allowed, 1 when it is denied and 2 when the policy cannot be honoured.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say whether a policy allows a request, and which statement decides.
    #[command(after_help = SIMULATE_HELP)]
    Simulate(Box<Simulate>),
}

#[derive(Debug, clap::Args)]
pub(super) struct Simulate {
    /// The policy document (JSON), or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// It is a resource policy: it has principals, and `execute-api:/…` is short for the API's own ARN.
    #[arg(long)]
    resource_policy: bool,
    /// The request's method.
    #[arg(long, value_parser = parse_verb)]
    method: Verb,
    /// The request's path, as a client would send it, below the stage's mount.
    #[arg(long)]
    path: String,
    /// The API's id.
    #[arg(long, default_value = "proxy")]
    api: String,
    /// The stage's name.
    #[arg(long, default_value = "TEST")]
    stage: String,
    /// The region in the ARN.
    #[arg(long, default_value = REGION, value_parser = parse_region)]
    region: String,
    /// The account in the ARN: 12 digits.
    #[arg(long, default_value = ACCOUNT, value_parser = parse_account)]
    account: String,
    /// The caller's address: aws:SourceIp.
    #[arg(long, value_name = "ADDRESS")]
    source_ip: Option<IpAddr>,
    /// When it is, as in 2030-01-01T00:00:00Z: aws:CurrentTime and aws:EpochTime. Now when absent.
    #[arg(long, value_name = "RFC3339", value_parser = parse_time)]
    time: Option<Timestamp>,
    /// The header User-Agent: aws:UserAgent.
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// The header Referer: aws:Referer.
    #[arg(long, value_name = "TEXT")]
    referer: Option<String>,
    /// The request came over TLS: aws:SecureTransport.
    #[arg(long)]
    secure_transport: bool,
    /// Ask for execute-api:InvalidateCache instead of execute-api:Invoke.
    #[arg(long)]
    invalidate_cache: bool,
    /// A value of any other condition key; repeat it for a key with several.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    context: Vec<(String, String)>,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

/// The values of `--context`, by key in lower case.
struct Extra(BTreeMap<String, Vec<String>>);

impl ExtraKeys for Extra {
    fn visit(&self, key: &str, visit: &mut dyn FnMut(KeyValue<'_>)) {
        self.0
            .get(key)
            .into_iter()
            .flatten()
            .for_each(|value| visit(KeyValue::Text(value)));
    }
}

pub(super) fn run(command: Command) -> Result<Exit, Failure> {
    let Command::Simulate(args) = command;
    let policy = read_policy(&args)?;
    let path = RequestPath::parse(&args.path).map_err(Failure::Path)?;
    let prefix = MethodArn::stage_prefix(&args.region, &args.account, &args.api, &args.stage);
    let arn = MethodArn::new(&prefix, args.method.as_str(), path);
    if arn.as_str().len() > MethodArn::BYTES_MAX {
        let what = format!(
            "the ARN would have {} bytes; the gateway answers 414 above {}",
            arn.as_str().len(),
            MethodArn::BYTES_MAX
        );
        return Err(Failure::Option {
            option: "--path",
            what,
            remedy: "shorten it".to_owned(),
        });
    }
    let mut extra = Extra(BTreeMap::new());
    for (key, value) in &args.context {
        extra.0.entry(key.to_lowercase()).or_default().push(value.clone());
    }
    let context = Context {
        source_ip: args.source_ip,
        secure_transport: args.secure_transport,
        user_agent: args.user_agent.as_deref(),
        referer: args.referer.as_deref(),
        extra: &extra,
        ..Context::new(args.time.unwrap_or_else(|| SystemClock.now()))
    };
    let action = if args.invalidate_cache {
        Action::InvalidateCache
    } else {
        Action::Invoke
    };
    let decision = policy.evaluate(&Request {
        action,
        resource: arn.as_str(),
        context: &context,
    });
    let text = if args.json {
        as_json(&policy, &decision, &arn)
    } else {
        as_text(&policy, &decision, &arn)
    };
    report::answer(&text);
    match decision.effect {
        Effect::Allow => Ok(Exit::Good),
        Effect::ExplicitDeny | Effect::ImplicitDeny => Ok(Exit::Negative),
    }
}

fn read_policy(args: &Simulate) -> Result<Policy, Failure> {
    // More than the crate reads, since it counts without white space.
    let bytes = read_input(&args.policy, 4 * DOCUMENT_BYTES_MAX as u64)?;
    let text = String::from_utf8_lossy(&bytes);
    let name = if args.policy == Path::new("-") {
        "standard input".to_owned()
    } else {
        args.policy.display().to_string()
    };
    let failure = |error: PolicyError| Failure::Policy(name.clone(), error);
    let policy = if args.resource_policy {
        let value = parse_json(&text).map_err(|error| Failure::Option {
            option: "--policy",
            what: format!("{name} is not JSON: {error}"),
            remedy: "a policy document is JSON".to_owned(),
        })?;
        let api_arn = format!("arn:aws:execute-api:{}:{}:{}", args.region, args.account, args.api);
        Policy::resource_policy(&value, &api_arn).map_err(failure)?
    } else {
        Policy::parse(&text).map_err(failure)?
    };
    for warning in policy.warnings() {
        report::note(&format!("warning: {name}: {}", report::printable(&warning.to_string())));
    }
    Ok(policy)
}

fn parse_json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

fn as_text(policy: &Policy, decision: &Decision<'_>, arn: &MethodArn) -> String {
    let verdict = match decision.effect {
        Effect::Allow => "allow",
        Effect::ExplicitDeny => "explicit deny",
        Effect::ImplicitDeny => "implicit deny",
    };
    let reason = match &decision.statement {
        Some(statement) => {
            let sid = statement
                .sid
                .map(|sid| format!(" ({})", report::printable(sid)))
                .unwrap_or_default();
            format!(
                "statement {}{sid}: {}",
                statement.index,
                policy.describe_statement(statement.index)
            )
        }
        None => "no statement matches this request".to_owned(),
    };
    format!("{verdict}\n{reason}\n{arn}")
}

fn as_json(policy: &Policy, decision: &Decision<'_>, arn: &MethodArn) -> String {
    let verdict = match decision.effect {
        Effect::Allow => "allow",
        Effect::ExplicitDeny => "explicit-deny",
        Effect::ImplicitDeny => "implicit-deny",
    };
    let statement = decision.statement.as_ref().map(|statement| {
        json!({"index": statement.index, "sid": statement.sid, "text": policy.describe_statement(statement.index)})
    });
    format!(
        "{:#}",
        json!({"verdict": verdict, "statement": statement, "resource": arn.as_str()})
    )
}

/// A verb for options; ANY is not one, because a request has a method of its own.
pub(super) fn parse_verb(text: &str) -> Result<Verb, String> {
    Verb::parse(text).ok_or_else(|| {
        let names: Vec<_> = Verb::ALL.iter().map(|verb| verb.as_str()).collect();
        report::did_you_mean(text, &names)
    })
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| "write a date, a time and an offset: 2030-01-01T00:00:00Z".to_owned())
}

fn parse_region(text: &str) -> Result<String, String> {
    if is_region(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("write it as in `{REGION}`"))
    }
}

fn parse_account(text: &str) -> Result<String, String> {
    if is_account(text) {
        Ok(text.to_owned())
    } else {
        Err("an account has 12 digits".to_owned())
    }
}

//! Shared limits: one script, one round trip.

use portcullis_limit::{Claims, Lease, Levels, Refused, SCRIPT};
use redis::{Cmd, Value};

use crate::{Away, Cluster, link::Refusal};

impl Cluster {
    /// Charges a request's shared limits, all or none, within [the deadline](Cluster::deadline).
    ///
    /// # Errors
    /// Nobody answered; the claims are still there to be [settled here](Claims::settle_here).
    pub async fn charge(&self, claims: &mut Claims<'_>) -> Result<(Result<Lease, Refused>, Levels), Away> {
        if !self.is_up() {
            return Err(self.note_away());
        }
        let answer = match self.script_hash() {
            Some(hash) => {
                let question = self.question("EVALSHA", &hash, claims);
                match self.ask(&question, self.deadline()).await {
                    Err(Refusal::ScriptUnknown) => {
                        self.ask(&self.question("EVAL", SCRIPT, claims), self.deadline()).await
                    }
                    answer => answer,
                }
            }
            None => self.ask(&self.question("EVAL", SCRIPT, claims), self.deadline()).await,
        };
        let numbers = match answer {
            Ok(Value::Array(values)) => values.iter().map(number).collect::<Option<Vec<_>>>(),
            Ok(_) => None,
            Err(Refusal::Away(away)) => return Err(away),
            Err(Refusal::ScriptUnknown) => None,
        };
        let settled = numbers.and_then(|numbers| claims.settle(&numbers).ok());
        settled.ok_or_else(|| self.note_away())
    }

    fn question(&self, command: &str, script: &str, claims: &Claims<'_>) -> Cmd {
        let mut question = redis::cmd(command);
        question.arg(script).arg(claims.asked().count());
        for claim in claims.asked() {
            question.arg(self.key("limit", &claim.name));
        }
        question.arg(""); // by the server's clock
        for claim in claims.asked() {
            question.arg(&claim.arguments);
        }
        question
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

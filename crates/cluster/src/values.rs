//! Values under a name: read, written, replaced and removed.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::{Away, Cluster, link::Refusal};

/// How long a write may take, which nobody waits for.
const WRITE_DEADLINE: Duration = Duration::from_secs(1);

impl Cluster {
    /// The value of a key, of which no more than `bytes_max` bytes come, within [the deadline](Cluster::deadline). Empty when
    /// there is none.
    ///
    /// # Errors
    /// Nobody answered.
    pub async fn read(&self, key: &str, bytes_max: usize) -> Result<Vec<u8>, Away> {
        let mut question = redis::cmd("GETRANGE");
        question.arg(key).arg(0).arg(bytes_max.saturating_sub(1));
        match self.answer(&question, self.deadline()).await? {
            Value::BulkString(bytes) => Ok(bytes),
            _ => Err(self.note_away()),
        }
    }

    /// Writes a value that Redis forgets after a time.
    ///
    /// # Errors
    /// Nobody answered, and it may be written or not.
    pub async fn write(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<(), Away> {
        let millis = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut question = redis::cmd("SET");
        question.arg(key).arg(value).arg("PX").arg(millis);
        self.answer(&question, WRITE_DEADLINE).await.map(drop)
    }

    /// Writes a value that stays, where there is none.
    ///
    /// # Errors
    /// As with [`write`](Self::write).
    pub async fn begin(&self, key: &str, value: &[u8]) -> Result<(), Away> {
        let mut question = redis::cmd("SET");
        question.arg(key).arg(value).arg("NX");
        self.answer(&question, WRITE_DEADLINE).await.map(drop)
    }

    /// Writes a value that stays, whatever there is.
    ///
    /// # Errors
    /// As with [`write`](Self::write).
    pub async fn replace(&self, key: &str, value: &[u8]) -> Result<(), Away> {
        let mut question = redis::cmd("SET");
        question.arg(key).arg(value);
        self.answer(&question, WRITE_DEADLINE).await.map(drop)
    }

    /// Adds to the end of a value; how long it is then.
    ///
    /// # Errors
    /// As with [`write`](Self::write).
    pub async fn append(&self, key: &str, value: &[u8]) -> Result<usize, Away> {
        let mut question = redis::cmd("APPEND");
        question.arg(key).arg(value);
        match self.answer(&question, WRITE_DEADLINE).await? {
            Value::Int(bytes) => usize::try_from(bytes).map_err(|_| self.note_away()),
            _ => Err(self.note_away()),
        }
    }

    /// Removes a value.
    ///
    /// # Errors
    /// As with [`write`](Self::write).
    pub async fn remove(&self, key: &str) -> Result<(), Away> {
        let mut question = redis::cmd("DEL");
        question.arg(key);
        self.answer(&question, WRITE_DEADLINE).await.map(drop)
    }

    async fn answer(&self, question: &Cmd, deadline: Duration) -> Result<Value, Away> {
        self.ask(question, deadline).await.map_err(|refusal| match refusal {
            Refusal::Away(away) => away,
            Refusal::ScriptUnknown => self.note_away(), // no script was asked for
        })
    }
}

//! What API keys used of their quotas: kept over restarts in a file of the data directory, and shown.
//!
//! The file is written once a second while counts change, and at the end; always whole, to another name first. A gateway that
//! is killed forgets the requests of its last second at most, and one that ends forgets none.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use portcullis_core::{Clock, SystemClock};
use portcullis_limit::{Period, PeriodNumber, Usage};
use portcullis_model::{Snapshot, limits::Allowance};
use portcullis_proxy::Gateway;
use serde_json::{Value, json};

/// The file in the data directory.
const FILE: &str = "usage.json";
/// The longest that is read: 10,000 keys in 10 plans each.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How often it is written while counts change.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// The counts that outlive a process.
#[derive(Debug)]
pub(crate) struct UsageFile {
    path: PathBuf,
    /// What stands in it, as far as this process knows; held while it is written.
    written: Mutex<String>,
}

/// Why what was used before cannot be known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    /// It cannot be read.
    #[error("`{path}`, which holds what was used of quotas, cannot be read: {error}", path = .0.display(), error = .1)]
    NotReadable(PathBuf, #[source] io::Error),
    /// It is not what this program writes.
    #[error("`{}`, which holds what was used of quotas, is damaged", .0.display())]
    Damaged(PathBuf),
}

/// One count.
struct Count {
    plan: String,
    key: String,
    period: Period,
    usage: Usage,
}

// === impl UsageFile ===

impl UsageFile {
    /// The file of a data directory; it need not be there.
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self {
            path: directory.join(FILE),
            written: Mutex::new(render(&[])),
        }
    }

    /// Tells a snapshot's quotas what was used before. Called before the first request.
    ///
    /// # Errors
    /// The file is there and cannot be understood. Whoever would start without it would hand every quota out again.
    pub(crate) fn restore(&self, snapshot: &Snapshot) -> Result<(), UsageError> {
        let text = match read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(UsageError::NotReadable(self.path.clone(), error)),
        };
        let counts = parse(&text).ok_or_else(|| UsageError::Damaged(self.path.clone()))?;
        for allowance in &snapshot.allowances {
            let Some(quota) = &allowance.quota else { continue };
            let same = |count: &&Count| {
                *count.plan == *allowance.plan && *count.key == *allowance.key_id && count.period == quota.spec().period
            };
            if let Some(count) = counts.iter().find(same) {
                quota.learn(count.usage);
            }
        }
        Ok(())
    }

    /// Writes what is used now, when that is not what stands there already.
    pub(crate) fn write(&self, snapshot: &Snapshot) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let text = render(&snapshot.allowances);
        if text == *written {
            return Ok(());
        }
        let made = self.path.with_extension("json.new");
        let mut file = fs::File::create(&made)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&made, &self.path)?;
        *written = text;
        Ok(())
    }

    /// Keeps the file up to date until the process ends. Without quotas it is neither made nor touched.
    pub(crate) fn keep(self: &Arc<Self>, gateway: &Arc<Gateway>) -> io::Result<()> {
        let (file, gateway) = (Arc::clone(self), Arc::downgrade(gateway));
        thread::Builder::new().name("usage".to_owned()).spawn(move || {
            let mut was_reported = false;
            while let Some(gateway) = gateway.upgrade() {
                match file.write(gateway.live().snapshot()) {
                    Ok(()) => was_reported = false,
                    Err(error) if !was_reported => {
                        was_reported = true;
                        tracing::error!(%error, file = %file.path.display(), "what is used of quotas cannot be written");
                    }
                    Err(_) => {}
                }
                drop(gateway);
                thread::sleep(WRITE_EVERY);
            }
        })?;
        Ok(())
    }
}

/// What every key used of every plan, for people and programs.
pub(crate) fn shown(snapshot: &Snapshot) -> Value {
    let now = SystemClock.now().unix_seconds();
    let row = |allowance: &Arc<Allowance>| {
        let quota = allowance.quota.as_ref().map(|quota| {
            let (spec, usage) = (quota.spec(), quota.usage(now));
            let time = |unix_s: i64| portcullis_core::Timestamp::from_unix_seconds(unix_s).to_rfc3339();
            json!({
                "period": spec.period.as_str(),
                "from": time(spec.period.start_unix_s(usage.period)),
                "to": time(spec.period.end_unix_s(usage.period)),
                "limit": spec.limit,
                "used": usage.used,
                "remaining": spec.limit.saturating_sub(usage.used),
            })
        });
        json!({
            "plan": allowance.plan,
            "key": allowance.key_id,
            "name": allowance.key_name,
            "quota": quota,
        })
    };
    Value::Array(snapshot.allowances.iter().map(row).collect())
}

fn render(allowances: &[Arc<Allowance>]) -> String {
    let count = |allowance: &Arc<Allowance>| {
        let quota = allowance.quota.as_ref()?;
        let counted = quota.counted();
        // Of the period 0 nothing was counted yet.
        (counted.period.0 > 0).then(|| {
            json!({
                "plan": allowance.plan,
                "key": allowance.key_id,
                "period": quota.spec().period.as_str(),
                "number": counted.period.0,
                "used": counted.used,
            })
        })
    };
    let counts: Vec<_> = allowances.iter().filter_map(count).collect();
    json!({ "version": 1, "quotas": counts }).to_string()
}

fn parse(text: &str) -> Option<Vec<Count>> {
    let document: Value = serde_json::from_str(text).ok()?;
    if document.get("version")?.as_u64()? != 1 {
        return None;
    }
    let count = |entry: &Value| {
        Some(Count {
            plan: entry.get("plan")?.as_str()?.to_owned(),
            key: entry.get("key")?.as_str()?.to_owned(),
            period: entry.get("period")?.as_str()?.parse().ok()?,
            usage: Usage {
                period: PeriodNumber(u32::try_from(entry.get("number")?.as_u64()?).ok()?),
                used: entry.get("used")?.as_u64()?,
            },
        })
    };
    document.get("quotas")?.as_array()?.iter().map(count).collect()
}

fn read(path: &Path) -> io::Result<String> {
    use io::Read;
    let mut text = String::new();
    fs::File::open(path)?.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use portcullis_limit::{Quota, QuotaSpec};

    use super::*;

    fn allowance(quota: Option<Quota>) -> Arc<Allowance> {
        Arc::new(Allowance {
            plan: "gold".into(),
            key_id: "acme".into(),
            key_name: "Acme".into(),
            throttle: None,
            quota: quota.map(Arc::new),
        })
    }

    fn quota() -> Option<Quota> {
        let spec = QuotaSpec {
            limit: 5,
            offset: 0,
            period: Period::Month,
        };
        Some(Quota::new(spec, None))
    }

    #[test]
    fn counts_are_kept_and_a_damaged_file_is_no_clean_slate() {
        let directory = tempfile::tempdir().unwrap();
        let file = UsageFile::in_directory(directory.path());
        let snapshot = |quota| {
            let mut snapshot = Snapshot::default();
            snapshot.allowances.push(allowance(quota));
            snapshot
        };
        let first = snapshot(quota());
        file.restore(&first).unwrap();
        let counted = first.allowances[0].quota.as_ref().unwrap();
        for _ in 0..3 {
            counted.try_take(1_795_266_000).unwrap();
        }
        file.write(&first).unwrap();

        let second = snapshot(quota());
        file.restore(&second).unwrap();
        assert_eq!(
            second.allowances[0].quota.as_ref().unwrap().usage(1_795_266_000).used,
            3
        );
        file.restore(&snapshot(None)).unwrap();

        for damaged in [
            "",
            "{",
            "{\"version\":2,\"quotas\":[]}",
            "{\"version\":1,\"quotas\":[{}]}",
        ] {
            fs::write(directory.path().join(FILE), damaged).unwrap();
            assert!(
                matches!(file.restore(&second), Err(UsageError::Damaged(_))),
                "{damaged}"
            );
        }
    }
}

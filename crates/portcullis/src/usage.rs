//! What API keys used of their quotas: kept over restarts in a file of the data directory, and shown.
//!
//! The file is written once a second while counts change, and at the end; always whole, to another name first. A gateway that
//! is killed forgets the requests of its last second at most, and one that ends forgets none.
//!
//! A file has one writer. A process that hands over writes it a last time first, and from then on tells its heir what it still
//! counts, once a second and at its end, each time one line of the same form; the heir adds that to its own counts.

use std::{
    collections::HashMap,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use portcullis_core::{Clock, SystemClock};
use portcullis_limit::{Period, PeriodNumber, Quota, Usage};
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
    /// Held while something is written.
    writes: Mutex<Writes>,
}

/// Where counts go.
#[derive(Debug)]
enum Writes {
    /// Into the file; this is what stands there, as far as this process knows.
    ToFile(String),
    /// Nowhere: another process may be about to take over. What was counted is what it reads in the file.
    Nowhere(Vec<Told>),
    /// To the process that took over, which has the file now.
    ToHeir(Vec<Told>, UnixStream),
}

/// What another process knows of a count.
#[derive(Debug)]
struct Told {
    allowance: Arc<Allowance>,
    usage: Usage,
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
            writes: Mutex::new(Writes::ToFile(render(&[]))),
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
        each_known(snapshot, &counts, Quota::learn);
        Ok(())
    }

    /// Writes what is used now where it belongs, when that is not known there already.
    pub(crate) fn write(&self, snapshot: &Snapshot) -> io::Result<()> {
        match &mut *self.writes() {
            Writes::ToFile(written) => self.write_file(written, render(&counts(&snapshot.allowances))),
            Writes::Nowhere(_) => Ok(()),
            Writes::ToHeir(told, heir) => match news(told) {
                news if news.is_empty() => Ok(()),
                news => writeln!(heir, "{}", render(&news)),
            },
        }
    }

    /// Writes the file a last time, before another process reads it. Nothing is written until [`Self::bequeath`] or
    /// [`Self::take_back`].
    pub(crate) fn leave(&self, snapshot: &Snapshot) -> io::Result<()> {
        let mut writes = self.writes();
        let told: Vec<_> = snapshot.allowances.iter().filter_map(Told::now).collect();
        if let Writes::ToFile(written) = &mut *writes {
            self.write_file(
                written,
                render(&told.iter().filter_map(Told::count).collect::<Vec<_>>()),
            )?;
            *writes = Writes::Nowhere(told);
        }
        Ok(())
    }

    /// No other process took over.
    pub(crate) fn take_back(&self) {
        *self.writes() = Writes::ToFile(render(&[])); // whatever the other one wrote, it is written anew
    }

    /// Another process took over: it is told what is counted here since [`Self::leave`].
    pub(crate) fn bequeath(&self, heir: UnixStream) {
        let mut writes = self.writes();
        if let Writes::Nowhere(told) = &mut *writes {
            *writes = Writes::ToHeir(std::mem::take(told), heir);
        }
    }

    /// Adds what the process before this one still counts, until it ends.
    pub(crate) fn inherit(giver: UnixStream, gateway: &Arc<Gateway>) -> io::Result<()> {
        let gateway = Arc::downgrade(gateway);
        giver.set_read_timeout(None)?; // it says nothing for as long as it counts nothing
        thread::Builder::new().name("usage-heir".to_owned()).spawn(move || {
            let mut giver = BufReader::new(giver);
            let mut line = String::new();
            while let Some(gateway) = {
                line.clear();
                let length = giver.by_ref().take(BYTES_MAX).read_line(&mut line).unwrap_or(0);
                (length > 0).then(|| gateway.upgrade()).flatten()
            } {
                match parse(&line) {
                    Some(counts) => each_known(gateway.live().snapshot(), &counts, Quota::add),
                    None => tracing::error!("what the process before this one counted of quotas is not understood"),
                }
            }
        })?;
        Ok(())
    }

    fn writes(&self) -> MutexGuard<'_, Writes> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_file(&self, written: &mut String, text: String) -> io::Result<()> {
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

// === impl Told ===

impl Told {
    /// A count as it stands; `None` where there is no quota.
    fn now(allowance: &Arc<Allowance>) -> Option<Self> {
        let usage = allowance.quota.as_ref()?.counted();
        Some(Self {
            allowance: Arc::clone(allowance),
            usage,
        })
    }

    /// The count for the file; of the period 0 nothing was counted yet.
    fn count(&self) -> Option<Count> {
        (self.usage.period.0 > 0).then(|| self.count_of(self.usage)).flatten()
    }

    fn count_of(&self, usage: Usage) -> Option<Count> {
        Some(Count {
            plan: self.allowance.plan.to_string(),
            key: self.allowance.key_id.to_string(),
            period: self.allowance.quota.as_ref()?.spec().period,
            usage,
        })
    }

    /// What was counted since it was told; told with that. What gateways share comes to the other one through Redis.
    fn news(&mut self) -> Option<Count> {
        let quota = self.allowance.quota.as_ref().filter(|quota| quota.shared().is_none())?;
        let (before, now) = (self.usage, quota.counted());
        self.usage = now;
        // An offset is counted in the first period, and is the other one's, too.
        let is_same_period = before.period == now.period || before.period.0 == 0;
        let used = now.used.saturating_sub(if is_same_period { before.used } else { 0 });
        let period = now.period;
        (period.0 > 0 && used > 0)
            .then(|| self.count_of(Usage { period, used }))
            .flatten()
    }
}

fn counts(allowances: &[Arc<Allowance>]) -> Vec<Count> {
    let told = allowances.iter().filter_map(Told::now);
    told.filter_map(|told| told.count()).collect()
}

fn news(told: &mut [Told]) -> Vec<Count> {
    told.iter_mut().filter_map(Told::news).collect()
}

/// Calls `tell` with each quota of a snapshot that there is a count for.
fn each_known(snapshot: &Snapshot, counts: &[Count], tell: impl Fn(&Quota, Usage)) {
    let counts: HashMap<_, _> = counts
        .iter()
        .map(|count| ((&*count.plan, &*count.key, count.period.as_str()), count.usage))
        .collect();
    for allowance in &snapshot.allowances {
        let Some(quota) = &allowance.quota else { continue };
        let period = quota.spec().period.as_str();
        if let Some(usage) = counts.get(&(&*allowance.plan, &*allowance.key_id, period)) {
            tell(quota, *usage);
        }
    }
}

fn render(counts: &[Count]) -> String {
    let count = |count: &Count| {
        json!({
            "plan": count.plan,
            "key": count.key,
            "period": count.period.as_str(),
            "number": count.usage.period.0,
            "used": count.usage.used,
        })
    };
    let counts: Vec<_> = counts.iter().map(count).collect();
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
    let mut text = String::new();
    fs::File::open(path)?.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use portcullis_limit::QuotaSpec;

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

    #[test]
    fn the_heir_is_told_what_the_file_does_not_say_and_the_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = UsageFile::in_directory(directory.path());
        let mut snapshot = Snapshot::default();
        snapshot.allowances.push(allowance(quota()));
        let quota = snapshot.allowances[0].quota.clone().unwrap();
        let take = || quota.try_take(1_795_266_000).unwrap();
        let text = || fs::read_to_string(directory.path().join(FILE)).unwrap();
        take();
        file.leave(&snapshot).unwrap();
        let left = text();
        assert!(left.contains("\"used\":1"), "{left}");

        // Nobody came: it goes on, with what was counted meanwhile.
        take();
        file.write(&snapshot).unwrap();
        assert_eq!(text(), left);
        file.take_back();
        file.write(&snapshot).unwrap();
        assert!(text().contains("\"used\":2"), "{}", text());

        file.leave(&snapshot).unwrap();
        let (giver, heir) = UnixStream::pair().unwrap();
        file.bequeath(giver);
        let mut heir = BufReader::new(heir);
        let left = text();
        for news in [1, 2] {
            (0..news).for_each(|_| take());
            file.write(&snapshot).unwrap();
            file.write(&snapshot).unwrap(); // told once
            let mut line = String::new();
            heir.read_line(&mut line).unwrap();
            let told = parse(&line).unwrap();
            assert_eq!(told.iter().map(|count| count.usage.used).collect::<Vec<_>>(), [news]);
        }
        assert_eq!(text(), left);
    }
}

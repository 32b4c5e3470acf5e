//! Which deployment each stage serves: what the configuration says, before what commands decided, before the document as it
//! stands.
//!
//! | The stage … | serves |
//! |---|---|
//! | has `deployment = 7` in `portcullis.toml` | deployment 7; no command changes that |
//! | was pinned by `deploy` or `rollback` | what was said last |
//! | else | its document as it stands; each change that is accepted is recorded as a deployment |

mod order;

use std::{collections::BTreeMap, path::Path};

use portcullis_core::{Clock, Findings, Place, SystemClock, Timestamp};
use portcullis_jose::digest::sha256_hex;
use portcullis_store::{Canary, Deployment, History, Stopped, Store, StoreError};

pub(crate) use self::order::{CanaryOrder, DeployOrder, Order, Refused, Wish};
use crate::config::{Api, Config, Stage};

/// What a deployment is called that nobody asked for.
const OF_ITSELF: &str = "the document changed";

/// What is deployed, as the store and a configuration say, and what is to be kept of a change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Releases {
    /// `None` where nothing is kept.
    store: Option<Store>,
    histories: BTreeMap<String, History>,
    decided: portcullis_store::Releases,
    /// Documents that become deployments when they are accepted.
    pending: Vec<Pending>,
    /// What commands decided has changed.
    is_decided_anew: bool,
}

/// A document that becomes a deployment.
#[derive(Clone, Debug)]
struct Pending {
    api: String,
    number: u32,
    digest: String,
    text: String,
    description: String,
}

/// What a stage serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Target {
    /// The deployment; `None` for the document as it stands.
    pub(crate) deployment: Option<u32>,
    /// Variables that come before those of the configuration.
    pub(crate) variables: BTreeMap<String, String>,
    /// Its canary.
    pub(crate) canary: Option<Canary>,
    /// Its canary was rolled back and gets nothing.
    pub(crate) stopped: Option<Stopped>,
}

// === impl Releases ===

impl Releases {
    /// What a data directory holds for a configuration. What cannot be read is a finding: to serve another deployment than
    /// was decided would be worse than not to serve.
    pub(crate) fn read(config: &Config, findings: &mut Findings) -> Self {
        let Some(data_dir) = &config.data_dir else {
            return Self::default();
        };
        let store = Store::at(&data_dir.value);
        let mut report = |error: StoreError| {
            let remedy = "no deployment can be served from it until it is mended";
            findings.error(
                data_dir.place.clone(),
                "deployments-unreadable",
                error.to_string(),
                remedy,
            );
        };
        let mut histories = BTreeMap::new();
        for api in &config.apis {
            match store.history(&api.id.value) {
                Ok(history) => _ = histories.insert(api.id.value.clone(), history),
                Err(error) => report(error),
            }
        }
        let decided = store.releases().unwrap_or_else(|error| {
            report(error);
            portcullis_store::Releases::default()
        });
        Self {
            store: Some(store),
            histories,
            decided,
            pending: Vec::new(),
            is_decided_anew: false,
        }
    }

    /// What a stage serves.
    pub(crate) fn target(&self, api: &Api, stage: &Stage) -> Target {
        let decided = self.decided.of(&api.id.value, &stage.name.value);
        let declared = |located: &portcullis_openapi::document::Located<u32>| located.value;
        let canary = match &stage.canary {
            Some(declared) => Some(declared.value.clone()),
            None => decided.and_then(|release| release.canary.clone()),
        };
        let stopped = decided.and_then(|release| release.stopped.clone());
        let stopped = stopped.filter(|stopped| {
            canary
                .as_ref()
                .is_some_and(|canary| canary.deployment == stopped.deployment)
        });
        Target {
            deployment: stage
                .deployment
                .as_ref()
                .map(declared)
                .or(decided.and_then(|release| release.deployment)),
            variables: decided.map(|release| release.variables.clone()).unwrap_or_default(),
            canary,
            stopped,
        }
    }

    /// The history of an API.
    pub(crate) fn history(&self, api: &str) -> Option<&History> {
        self.histories.get(api)
    }

    /// The number of a document that is served as it stands: of the newest deployment if that is the same, else the next one.
    pub(crate) fn number_of_document(&mut self, api: &str, text: &str) -> Option<u32> {
        self.store.as_ref()?;
        let digest = sha256_hex(text.as_bytes());
        let pending = self.pending.iter().rev().find(|pending| pending.api == api);
        let newest = pending.map(|pending| (pending.number, &pending.digest));
        let newest = newest.or_else(|| {
            let latest = self.histories.get(api)?.latest()?;
            Some((latest.number, &latest.digest))
        });
        match newest {
            Some((number, known)) if *known == digest => Some(number),
            _ => Some(self.add_pending(api, text, OF_ITSELF)),
        }
    }

    /// Whether a deployment is about to be made of the document as it stands.
    pub(crate) fn is_new(&self, api: &str, number: u32) -> bool {
        let mut pending = self.pending.iter();
        pending.any(|pending| pending.api == api && pending.number == number)
    }

    /// The document of a deployment; a finding at `place` when there is none.
    pub(crate) fn document(&self, api: &str, number: u32, place: &Place, findings: &mut Findings) -> Option<String> {
        let is_it = |pending: &&Pending| pending.api == api && pending.number == number;
        if let Some(pending) = self.pending.iter().find(is_it) {
            return Some(pending.text.clone());
        }
        let found = self.histories.get(api).and_then(|history| history.find(number));
        let (Some(store), Some(deployment)) = (&self.store, found) else {
            let message = format!("`{api}` has no deployment {number}");
            findings.error(place.clone(), "deployment-unknown", message, self.known_remedy(api));
            return None;
        };
        let text = store.source(deployment).map_err(|error| error.to_string());
        match text.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string())) {
            Ok(text) => Some(text),
            Err(error) => {
                let remedy = "no deployment can be served from it until it is mended";
                findings.error(place.clone(), "deployments-unreadable", error, remedy);
                None
            }
        }
    }

    /// Keeps what is to be kept: new deployments first, then who points to them. Once this has returned, it survives.
    pub(crate) fn keep(&mut self, config: &Config) -> Result<(), StoreError> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        let now = SystemClock.now();
        while let Some(pending) = self.pending.first() {
            let Pending {
                api, text, description, ..
            } = pending;
            let in_use = |number: u32| self.is_in_use(config, api, number);
            let what = (description.as_str(), now);
            let recorded = store.record(api, text.as_bytes(), what, config.deployments_max, &in_use)?;
            let history = store.history(api)?;
            debug_assert_eq!(recorded.number, pending.number, "one owner gives numbers");
            self.histories.insert(api.clone(), history);
            self.pending.remove(0);
        }
        if self.is_decided_anew {
            store.keep_releases(&self.decided)?;
            self.is_decided_anew = false;
        }
        Ok(())
    }

    /// The stages of an API that serve a deployment, canaries marked.
    pub(crate) fn users(&self, api: &Api, number: u32) -> Vec<String> {
        let mut users = Vec::new();
        for stage in &api.stages {
            let target = self.target(api, stage);
            let latest = self.histories.get(&api.id.value).and_then(History::latest);
            let whole = target.deployment.or(latest.map(|latest: &Deployment| latest.number));
            if whole == Some(number) {
                let how = if target.deployment.is_none() {
                    " (as it stands)"
                } else {
                    ""
                };
                users.push(format!("{}{how}", stage.name.value));
            }
            if let Some(canary) = target.canary.filter(|canary| canary.deployment == number) {
                let share = match &target.stopped {
                    Some(_) => "rolled back".to_owned(),
                    None => format!("{} %", canary.percent),
                };
                users.push(format!("{}/Canary ({share})", stage.name.value));
            }
        }
        users
    }

    /// Takes the requests from a canary, for a reason that is kept.
    pub(crate) fn stop_canary(&mut self, api: &str, stage: &str, stopped: Stopped) {
        self.decided.of_mut(api, stage).stopped = Some(stopped);
        self.is_decided_anew = true;
    }

    fn is_in_use(&self, config: &Config, api: &str, number: u32) -> bool {
        let mut apis = config.apis.iter().filter(|known| known.id.value == api);
        let declared = apis.any(|api| {
            api.stages.iter().any(|stage| {
                let target = self.target(api, stage);
                target.deployment == Some(number) || target.canary.is_some_and(|canary| canary.deployment == number)
            })
        });
        declared || self.decided.points_to(api, number) || self.pending.iter().any(|pending| pending.number == number)
    }

    fn add_pending(&mut self, api: &str, text: &str, description: &str) -> u32 {
        let last = self.histories.get(api).map_or(0, |history| history.last);
        let of_api = self.pending.iter().filter(|pending| pending.api == api);
        let last = of_api.map(|pending| pending.number).fold(last, u32::max);
        let number = last.saturating_add(1);
        self.pending.push(Pending {
            api: api.to_owned(),
            number,
            digest: sha256_hex(text.as_bytes()),
            text: text.to_owned(),
            description: description.to_owned(),
        });
        number
    }

    fn known_remedy(&self, api: &str) -> String {
        let history = self
            .histories
            .get(api)
            .filter(|history| !history.deployments.is_empty());
        let Some(history) = history else {
            return "none was recorded yet: `portcullis deploy` does".to_owned();
        };
        let numbers: Vec<_> = history
            .deployments
            .iter()
            .rev()
            .take(10)
            .map(|known| known.number.to_string())
            .collect();
        format!(
            "the newest are {}; `portcullis deployments` lists all",
            numbers.join(", ")
        )
    }
}

/// Why a canary gets nothing, from now on.
pub(crate) fn stopped_now(deployment: u32, at: Timestamp, reason: String) -> Stopped {
    Stopped { deployment, at, reason }
}

/// The name under which findings speak of a deployment's document.
pub(crate) fn document_name(document: &Path, number: u32) -> String {
    format!("{} (deployment {number})", document.display())
}

//! A sidecar in front of a source and of a database of the stand-in cluster.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::application::Application;
use crate::cluster::{ADMINISTRATOR, Cluster, Instance};
use crate::kit::{Admin, Sidecar, SidecarBuilder};
use crate::witness::Witness;

/// The database's name.
pub const TARGET: &str = "orders";

/// The cluster of the target, and what the sidecar needs to reach it.
pub struct World {
    pub cluster: Cluster,
    pub target: Instance,
    files: TempDir,
}

impl World {
    /// An empty Active-Active database across two clusters.
    pub fn new() -> World {
        let cluster = Cluster::start("west.test");
        let target = cluster.active_active(TARGET, None, &[]);
        World::of(cluster, target)
    }

    pub fn of(cluster: Cluster, target: Instance) -> World {
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("password"), ADMINISTRATOR.password).unwrap();
        World {
            cluster,
            target,
            files,
        }
    }

    /// A file with the password of whoever drives the clusters.
    pub fn password_file(&self) -> String {
        text(&self.files.path().join("password"))
    }

    /// A sidecar from that source into the target; to be completed and started.
    pub fn sidecar(&self, source_url: &str) -> SidecarBuilder {
        let sidecar = Sidecar::new()
            .set("source.url", source_url)
            .set("source.name", "source")
            .set("target.url", format!("redis://{}", self.target.addr()))
            .set("target.name", "target")
            .set("link.driver", "enterprise")
            .set("link.enterprise.database", TARGET);
        self.reaches("link.enterprise", &self.cluster, sidecar)
    }

    /// The keys of a section that names a cluster.
    pub fn reaches(
        &self,
        section: &str,
        cluster: &Cluster,
        sidecar: SidecarBuilder,
    ) -> SidecarBuilder {
        let key = |name: &str| format!("{section}.{name}");
        sidecar
            .set(&key("api"), cluster.url())
            .set(&key("username"), ADMINISTRATOR.name)
            .set(&key("password_file"), self.password_file())
            .set(&key("ca"), text(&Cluster::ca()))
    }

    /// The whole of it, with an application that writes from before the beginning until after the end; gives what the
    /// cutover said.
    pub fn migrate(&self, sidecar: &Sidecar) -> Value {
        let witness = Witness::of(&self.target);
        let application = Application::start(sidecar.addr("app"));
        application.writes_on();
        let admin = sidecar.admin();
        admin.migrate_until_ready();
        application.writes_on();
        let outcome = admin.must_cut_over();
        application.writes_on();
        self.finish(admin, witness, application);
        outcome
    }

    /// `finalize`, and every claim that is made of an end.
    pub fn finish(&self, admin: Admin, witness: Witness, application: Application) {
        let finalized = admin.finalize();
        assert_eq!(finalized.status, 200, "{}", finalized.text);
        application.end_on(&self.target.server);
        witness.testify();
        assert!(!self.target.replicates() && !self.target.has_syncer());
        self.assert_stopped_for_good();
    }

    /// The last order about Replica Of is its end, and the sources are taken away.
    pub fn assert_stopped_for_good(&self) {
        let requests = self.cluster.requests();
        let orders = requests
            .iter()
            .filter(|it| it.method == "PUT" && it.path.starts_with("/v1/bdbs/"));
        let syncs: Vec<&Value> = orders
            .filter_map(|it| it.body.get("replica_sync"))
            .collect();
        assert_eq!(
            syncs.last().and_then(|it| it.as_str()),
            Some("disabled"),
            "{syncs:?}"
        );
        let bdb = self
            .cluster
            .caller()
            .get(&format!("/v1/bdbs/{}", self.target.uid))
            .json;
        assert_eq!(
            bdb["replica_sources"].as_array().map(Vec::len),
            Some(0),
            "{bdb:#}"
        );
    }
}

/// How long the application's writes waited, less the step in which the API stops Replica Of, in milliseconds.
pub fn pause_beside_the_stop(outcome: &Value) -> f64 {
    let steps = outcome["steps"].as_array().unwrap();
    let stop = steps.iter().find(|step| step["name"] == "detach");
    let stop = stop.unwrap_or_else(|| panic!("no step of its own: {outcome:#}"));
    outcome["write_pause_ms"].as_f64().unwrap() - stop["ms"].as_f64().unwrap()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

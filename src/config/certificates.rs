//! Every certificate that a configuration names, watched by the section that names it.

use std::sync::Arc;

use super::Settings;
use super::mistake::Mistake;
use crate::link;
use crate::net::tls::{End, Sight, Watch};

/// All of them. They are the ones that listeners and sides use, so what is read again here counts there.
#[derive(Debug)]
pub struct Certificates {
    /// Each with its section: `listener[0].tls`.
    watches: Vec<(String, Watch)>,
}

/// When a look reads the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Where they have changed and come to rest.
    IfChanged,
    /// In any case.
    Anyway,
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Found {
    /// Sections whose files were read again with success.
    pub reloaded: Vec<String>,
    /// What is wrong with files that cannot be used; what they held before stays.
    pub broken: Vec<Mistake>,
}

impl Settings {
    /// The certificates of these settings, to be watched.
    pub fn certificates(&self) -> Certificates {
        let server = |tls: &Option<Arc<_>>| tls.clone().map(End::Server);
        let listeners = self.listeners.iter().enumerate().map(|(at, listener)| {
            let section = format!("listener[{at}].tls");
            (section, server(&listener.tls))
        });
        let admin = ("admin.tls".to_owned(), server(&self.admin.tls));
        let sides = self.servers().map(|side| {
            let section = format!("{}.tls", side.side);
            (section, side.dial.tls.clone().map(End::Client))
        });
        let clusters = match &self.link {
            link::Settings::Enterprise(enterprise) => {
                let sections = ["link.enterprise", "link.enterprise.source_cluster"];
                let ends = enterprise
                    .apis()
                    .map(|api| Some(End::Client(Arc::clone(api.tls()))));
                sections.map(str::to_owned).into_iter().zip(ends).collect()
            }
            link::Settings::ReplicaOf | link::Settings::External { .. } => Vec::new(),
        };
        let ends = listeners.chain([admin]).chain(clusters).chain(sides);
        let watches = ends.filter_map(|(section, end)| Some((section, Watch::new(end?))));
        Certificates {
            watches: watches.collect(),
        }
    }
}

impl Certificates {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// Looks at all files, and reads some. Blocks as long as the file system does.
    pub fn look(&mut self, look: Look) -> Found {
        let mut found = Found::default();
        for (section, watch) in &mut self.watches {
            let sight = match look {
                Look::IfChanged => watch.look(),
                Look::Anyway => watch.reload(),
            };
            match sight {
                Sight::Nothing => {}
                Sight::Reloaded => found.reloaded.push(section.clone()),
                Sight::Broken(errors) => found.broken.extend(errors.iter().map(|error| Mistake {
                    path: format!("{section}.{}", error.key()),
                    value: None,
                    wanted: error.to_string(),
                })),
            }
        }
        found
    }
}

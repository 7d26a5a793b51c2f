//! What the way back needs where the link cannot be turned: the copy of the keys that change on the filled side.

use super::sameness::{rdb_version, reads, version};
use super::{Pair, Verdict};

/// Client-side caching, by which a server names the keys that change.
const TRACKING_SINCE: (u32, u32) = (6, 0);

/// Changed keys can be copied back only if the filled side names them, and best if the copied side reads its values.
pub(super) fn by_keys(pair: &Pair<'_>) -> Verdict {
    let (copied, filled) = (pair.copied, pair.filled);
    match version(&filled.info, "redis_version") {
        Some(version) if version < TRACKING_SINCE => {
            return Verdict::warning(
                format!(
                    "{} does not name the keys that change (CLIENT TRACKING), so there will be no way back",
                    filled.name
                ),
                "choose a target of version 6 or later, or set [cutover] reverse = false to say that no way back is wanted",
            );
        }
        Some(_) => {}
        None => {
            return Verdict::warning(
                format!(
                    "whether {} names the keys that change (CLIENT TRACKING) is not known",
                    filled.name
                ),
                "without it there will be no way back: look at `can_roll_back` after the cutover, before `finalize`",
            );
        }
    }
    match (rdb_version(&filled.info), rdb_version(&copied.info)) {
        (Some(written), Some(read)) if reads(read, written) => {
            Verdict::ok("what changes on the target after the cutover is copied to the source")
        }
        (Some(_), Some(_)) | (None, _) | (_, None) => Verdict::warning(
            format!(
                "{} does not read the values of {} as they are: after the cutover they are copied back by the commands of their \
                 types, more slowly, and values of modules not at all",
                copied.name, filled.name
            ),
            "if the application writes values of modules, there is no way back; otherwise nothing is to be done",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Facts, Level};
    use super::*;
    use crate::link::info::Info;
    use crate::upstream::control::Value;

    fn level(copied: &str, filled: &str) -> Level {
        let facts = |text: &str| Facts {
            info: Info::from_reply(&Value::Bulk(text.as_bytes().to_vec())),
            ..Facts::default()
        };
        by_keys(&Pair {
            copied: &facts(copied),
            filled: &facts(filled),
            sessions: 0,
        })
        .level
    }

    #[test]
    fn a_target_that_names_no_keys_or_a_source_that_reads_no_values_is_warned_of() {
        let seven = "redis_version:7.0.15";
        assert_eq!(level(seven, seven), Level::Ok);
        assert_eq!(level(seven, "redis_version:5.0.7"), Level::Warning);
        assert_eq!(level(seven, "redis_version:8.2.1"), Level::Warning);
        assert_eq!(level(seven, ""), Level::Warning);
    }
}

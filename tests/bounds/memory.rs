//! What a sidecar holds, as the kernel counts it.

#![allow(unreachable_pub)] // a module of a test binary

use std::path::PathBuf;

use super::kit::Sidecar;

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
/// The allocator's own, and what a first use of everything costs: buffers of each worker, the tables of connections.
const SLACK: u64 = 16 * MIB;

/// The memory of a sidecar, and what it was before the deed.
pub struct Memory {
    status: PathBuf,
    before: u64,
}

impl Memory {
    pub fn of(sidecar: &Sidecar) -> Memory {
        let mut memory = Memory {
            status: format!("/proc/{}/status", sidecar.id()).into(),
            before: 0,
        };
        memory.before = memory.field("VmHWM");
        memory
    }

    /// Claims that it never held more than it did before, what the limits allow, and slack.
    #[track_caller]
    pub fn claim_peak(&self, deed: &str, allowed: u64) {
        let peak = self.field("VmHWM");
        let (grown, allowed) = ((peak - self.before) / KIB, (allowed + SLACK) / KIB);
        eprintln!(
            "{deed}: {grown} KiB more than the {} KiB before, allowed {allowed} KiB",
            self.before / KIB
        );
        assert!(
            grown <= allowed,
            "{deed}: {grown} KiB are held, allowed {allowed} KiB"
        );
    }

    /// A line of the file, in bytes: `VmHWM` is what it held at the most.
    fn field(&self, field: &str) -> u64 {
        let status =
            std::fs::read_to_string(&self.status).expect("these tests read /proc: they need Linux");
        let kibibytes: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
            .unwrap();
        kibibytes * KIB
    }
}

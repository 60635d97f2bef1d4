//! Both sides of a day on disk, cut into parts that fit into memory.
//!
//! A bill may have millions of lines, and nothing of it counts before the last one was read. So lines are written down as
//! they arrive, each into the part that its number falls into, and our rows beside them; then part after part is
//! compared. Whoever leaves a spool (an error, a panic) removes it; what a kill leaves is removed by the next attempt.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::domain::reconciliation::{BillEntry, OurPayment, OurRefund};

/// Parts of a day: with a million lines some 16,000 are in memory at once.
pub(super) const PARTS: usize = 64;
/// Records on their way to the disk.
const QUEUED_MAX: usize = 4_096;

/// A line of the bill or a row of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Record {
    Line(BillEntry),
    Payment(OurPayment),
    Refund(OurRefund),
}

impl Record {
    /// The part that it falls into, with everything that it may meet.
    fn part(&self) -> usize {
        let key = match self {
            Self::Line(entry) => entry.key(),
            Self::Payment(payment) => &payment.payment_no,
            Self::Refund(refund) => &refund.refund_no,
        };
        // FNV-1a: the same on every machine, and spread evenly enough
        let hash = key
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        usize::try_from(hash >> 32).unwrap_or_default() % PARTS
    }
}

/// A directory of its own, gone with this and its writer.
#[derive(Debug)]
pub(super) struct Spool {
    dir: Arc<SpoolDir>,
}

/// Removed by whoever lets go of it last: a writer that was left alone still makes files for a moment.
#[derive(Debug)]
struct SpoolDir(PathBuf);

/// Takes records until it is finished.
#[derive(Debug)]
pub(super) struct SpoolWriter {
    pub(super) records: mpsc::Sender<Record>,
    task: JoinHandle<io::Result<()>>,
}

impl Spool {
    /// An empty one below `parent`; older ones of that name are of attempts that are dead.
    pub(super) fn make(parent: &Path, name: &str) -> io::Result<Self> {
        let prefix = format!(".spool-{name}-");
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        for entry in fs::read_dir(parent)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let dir = parent.join(format!("{prefix}{}", hex::encode(crate::random::bytes::<6>())));
        DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(Self { dir: Arc::new(SpoolDir(dir)) })
    }

    pub(super) fn writer(&self) -> SpoolWriter {
        let (records, received) = mpsc::channel(QUEUED_MAX);
        let dir = Arc::clone(&self.dir);
        let task = tokio::task::spawn_blocking(move || write(&dir.0, received));
        SpoolWriter { records, task }
    }

    /// Everything of one part.
    pub(super) async fn part(&self, part: usize) -> io::Result<Vec<Record>> {
        let path = path(&self.dir.0, part);
        tokio::task::spawn_blocking(move || read(&path)).await.map_err(io::Error::other)?
    }
}

impl Drop for SpoolDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(dir = %self.0.display(), %error, "spool of a reconciliation not removed");
        }
    }
}

impl SpoolWriter {
    /// Returns when everything is written.
    pub(super) async fn finish(self) -> io::Result<()> {
        drop(self.records);
        self.task.await.map_err(io::Error::other)?
    }
}

fn path(dir: &Path, part: usize) -> PathBuf {
    dir.join(format!("{part:02}.jsonl"))
}

fn write(dir: &Path, mut received: mpsc::Receiver<Record>) -> io::Result<()> {
    let open = |part| {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path(dir, part))?;
        io::Result::Ok(BufWriter::new(file))
    };
    let mut parts = (0..PARTS).map(open).collect::<io::Result<Vec<BufWriter<File>>>>()?;
    while let Some(record) = received.blocking_recv() {
        let part = &mut parts[record.part()];
        serde_json::to_writer(&mut *part, &record).map_err(io::Error::other)?;
        part.write_all(b"\n")?;
    }
    parts.iter_mut().try_for_each(BufWriter::flush)
}

fn read(path: &Path) -> io::Result<Vec<Record>> {
    let lines = BufReader::new(File::open(path)?).lines();
    lines.map(|line| serde_json::from_str(&line?).map_err(io::Error::other)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> Record {
        let payment_no = format!("01JD000000000000000000{number:04}_1");
        Record::Line(BillEntry { payment_no, gateway_no: String::new(), total: None, refund: None })
    }

    #[tokio::test]
    async fn what_is_written_is_read_part_by_part_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::make(dir.path(), "wechat-2026-11-20").unwrap();
        let writer = spool.writer();
        for number in 0..1_000 {
            writer.records.send(line(number)).await.unwrap();
        }
        writer.finish().await.unwrap();
        let (mut all, mut largest) = (0, 0);
        for part in 0..PARTS {
            let records = spool.part(part).await.unwrap();
            assert!(records.iter().all(|record| record.part() == part));
            (all, largest) = (all + records.len(), largest.max(records.len()));
        }
        assert_eq!(all, 1_000);
        assert!(largest < 60, "the parts are about alike, the largest has {largest}");
        drop(spool);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_attempt_left_is_removed_by_the_next_one_of_the_same_run() {
        let dir = tempfile::tempdir().unwrap();
        let dead = dir.path().join(".spool-wechat-2026-11-20-abc");
        let other = dir.path().join(".spool-alipay-2026-11-20-abc");
        fs::create_dir(&dead).unwrap();
        fs::create_dir(&other).unwrap();
        let _spool = Spool::make(dir.path(), "wechat-2026-11-20").unwrap();
        assert!(!dead.exists() && other.exists());
    }
}

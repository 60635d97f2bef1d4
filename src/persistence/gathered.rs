//! Reads of single keys that are wanted at the same time, made in one statement.
//!
//! When a sale opens thousands of buyers wake in one second, and each wants a row or two. While one statement runs, the
//! keys that are wanted meanwhile gather for the next: a lone read waits for nothing, a crowd costs a statement for every
//! 256 of it. A read begins after it was asked for, so it sees what was committed before.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::error::StoreError;

/// Keys of one statement.
const KEYS_MAX: usize = 256;
/// Reads that wait; whoever asks for more waits until there is room.
const WAITING_MAX: usize = 4_096;

type Answer<V> = Result<Option<V>, StoreError>;

struct Ask<K, V> {
    key: K,
    answer: oneshot::Sender<Answer<V>>,
}

/// Reads values by key, many keys at a time; clones share the statements. Ends with its last clone.
pub struct Gathered<K, V> {
    asks: mpsc::Sender<Ask<K, V>>,
    operation: &'static str,
}

impl<K, V> Clone for Gathered<K, V> {
    fn clone(&self) -> Self {
        Self { asks: self.asks.clone(), operation: self.operation }
    }
}

impl<K, V> fmt::Debug for Gathered<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathered").field("operation", &self.operation).finish_non_exhaustive()
    }
}

impl<K, V> Gathered<K, V>
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// Begins; `read` finds the values of distinct keys, and leaves out a key that has none.
    pub fn new<F, R>(operation: &'static str, read: F) -> Self
    where
        F: Fn(Vec<K>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<HashMap<K, V>, StoreError>> + Send + 'static,
    {
        let (asks, mut asked) = mpsc::channel(WAITING_MAX);
        tokio::spawn(async move {
            let mut gathered = Vec::with_capacity(KEYS_MAX);
            while asked.recv_many(&mut gathered, KEYS_MAX).await > 0 {
                answer(operation, &read, gathered.drain(..)).await;
            }
        });
        Self { asks, operation }
    }

    /// The value of `key`, read after this call began.
    ///
    /// # Errors
    /// [`StoreError`] as the statement met it; [`StoreError::Panicked`] if reading this key panics.
    pub async fn get(&self, key: K) -> Answer<V> {
        let (answer, answered) = oneshot::channel();
        let gone = || StoreError::Panicked { operation: self.operation };
        self.asks.send(Ask { key, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

async fn answer<K, V, F, R>(operation: &'static str, read: &F, asks: impl Iterator<Item = Ask<K, V>>)
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    F: Fn(Vec<K>) -> R,
    R: Future<Output = Result<HashMap<K, V>, StoreError>> + Send + 'static,
{
    let mut waiting: HashMap<K, Vec<oneshot::Sender<Answer<V>>>> = HashMap::new();
    for ask in asks {
        waiting.entry(ask.key).or_default().push(ask.answer);
    }
    // A task of its own: what panics in it takes nobody else along.
    let reading = async |keys| {
        let read = tokio::spawn(read(keys)).await;
        read.unwrap_or(Err(StoreError::Panicked { operation }))
    };
    let keys: Vec<K> = waiting.keys().copied().collect();
    let alone = keys.len() == 1;
    match reading(keys).await {
        Ok(values) => {
            for (key, askers) in waiting {
                tell(askers, Ok(values.get(&key).cloned()));
            }
        }
        // A value that cannot be read is its own key's misfortune.
        Err(error) if !alone && !error.is_transient() => {
            for (key, askers) in waiting {
                let read = reading(vec![key]).await;
                tell(askers, read.map(|mut values| values.remove(&key)).map_err(Arc::new));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for askers in waiting.into_values() {
                tell(askers, Err(Arc::clone(&error)));
            }
        }
    }
}

fn tell<V: Clone>(askers: Vec<oneshot::Sender<Answer<V>>>, outcome: Result<Option<V>, Arc<StoreError>>) {
    for asker in askers {
        let _ = asker.send(outcome.clone().map_err(StoreError::Shared)); // the asker may have gone
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn doubled(statements: Arc<AtomicUsize>) -> Gathered<u32, u32> {
        Gathered::new("doubling", move |keys: Vec<u32>| {
            statements.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                assert!(!keys.contains(&13), "a bug");
                if keys.contains(&7) {
                    return Err(StoreError::Corrupt { what: "seven".to_owned() });
                }
                if keys.contains(&99) {
                    return Err(StoreError::TimedOut { operation: "doubling", timeout_ms: 1 });
                }
                Ok(keys.into_iter().filter(|key| *key != 404).map(|key| (key, 2 * key)).collect())
            }
        })
    }

    #[actix_rt::test]
    async fn a_crowd_costs_few_statements_and_each_gets_its_own() {
        let statements = Arc::new(AtomicUsize::new(0));
        let reads = doubled(Arc::clone(&statements));
        let wanted = (1_000..2_000).chain([404, 1_500]);
        let found = futures::future::join_all(wanted.clone().map(|key| reads.get(key))).await;
        for (key, found) in wanted.zip(found) {
            assert_eq!(found.unwrap(), (key != 404).then_some(2 * key), "{key}");
        }
        // tokio lets a task send 128 messages before another has its turn
        assert!(statements.load(Ordering::Relaxed) <= 1_002 / 128 + 2, "{statements:?} statements");
    }

    #[actix_rt::test]
    async fn a_bad_value_and_a_bug_harm_their_own_keys_alone() {
        let reads = doubled(Arc::default());
        let found = futures::future::join_all([1, 7, 2, 13, 3].map(|key| reads.get(key))).await;
        let [one, seven, two, thirteen, three] = found.try_into().unwrap();
        assert_eq!([one.unwrap(), two.unwrap(), three.unwrap()], [Some(2), Some(4), Some(6)]);
        assert_eq!(seven.unwrap_err().to_string(), "seven in the database cannot be read");
        assert!(
            matches!(thirteen.unwrap_err(), StoreError::Shared(error) if matches!(*error, StoreError::Panicked { .. }))
        );
        assert_eq!(reads.get(4).await.unwrap(), Some(8), "and the reader lives");
    }

    #[actix_rt::test]
    async fn a_database_that_is_away_is_told_to_all_without_asking_it_again() {
        let statements = Arc::new(AtomicUsize::new(0));
        let reads = doubled(Arc::clone(&statements));
        let found = futures::future::join_all([99, 1, 2].map(|key| reads.get(key))).await;
        assert!(found.into_iter().all(|found| found.unwrap_err().is_transient()));
        assert!(statements.load(Ordering::Relaxed) <= 2);
    }
}

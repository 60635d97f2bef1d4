//! A pool of connections whose every statement has a time limit: a server that was stopped must not hang a caller.
//!
//! A server that was started again leaves dead connections in the pool. A read that meets one is repeated; a
//! write is not, because it may have happened: its caller asks by its ids. A replica that fails is replaced by the
//! primary, statement by statement, and tried again after a rest.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement, TransactionOptions, TransactionTrait, sqlx,
};

use crate::clock::monotonic;
use crate::persistence::error::{is_connection_lost, is_transient, refuses_writes};

/// How often a read is repeated at most, all within its time limit: a busy pool may hold several dead connections.
const REPEATS_MAX: u32 = 16;
/// Longest that closing waits for connections in use.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// A replica that failed is left alone for so long.
const REPLICA_REST: Duration = Duration::from_secs(5);

/// A database that refused a write is taken to refuse the next one for so long: whoever writes again finds out, and the sweeps
/// of a shop that owes anything do.
const REFUSAL_COUNTS_FOR: Duration = Duration::from_secs(10);

/// See the file's header. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Bounded {
    pool: DatabaseConnection,
    limit: Duration,
    repeats: bool,
    primary: Option<Arc<Primary>>,
    /// When a write was refused last for want of room or leave.
    refused_at: Arc<Mutex<Option<Instant>>>,
}

/// How a statement is put to a pool.
type Ask<T> = fn(DatabaseConnection, Statement) -> BoxFuture<'static, Result<T, DbErr>>;

/// Who answers while this pool, a replica, cannot.
#[derive(Debug)]
struct Primary {
    reads: Bounded,
    /// Until when the replica is not asked; `None`: it answers.
    rests_until: Mutex<Option<Instant>>,
}

impl Bounded {
    pub(super) fn new(pool: DatabaseConnection, limit: Duration) -> Self {
        Self { pool, limit, repeats: false, primary: None, refused_at: Arc::default() }
    }

    /// A write was refused, whoever wanted it.
    pub(super) fn refused_write(&self) {
        *self.refused_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(monotonic());
    }

    /// True unless a write was refused a moment ago.
    pub(super) fn takes_writes(&self) -> bool {
        let refused_at = *self.refused_at.lock().unwrap_or_else(PoisonError::into_inner);
        refused_at.is_none_or(|at| at.elapsed() >= REFUSAL_COUNTS_FOR)
    }

    fn noted<T>(&self, outcome: Result<T, DbErr>) -> Result<T, DbErr> {
        outcome.inspect_err(|error| {
            if refuses_writes(error) {
                self.refused_write();
            }
        })
    }

    /// For reads: one that a lost connection cut short is repeated.
    pub(super) fn repeating(self) -> Self {
        Self { repeats: true, ..self }
    }

    /// For a replica: what it cannot answer is asked of the primary.
    pub(super) fn or_else(self, primary: Self) -> Self {
        let primary = Primary { reads: primary, rests_until: Mutex::new(None) };
        Self { primary: Some(Arc::new(primary)), ..self }
    }

    /// Open connections, and how many of them are idle.
    pub(super) fn connections(&self) -> (u32, u32) {
        let idle = |idle: usize| u32::try_from(idle).unwrap_or(u32::MAX);
        match self.pool.get_database_backend() {
            DbBackend::Sqlite => {
                let pool = self.pool.get_sqlite_connection_pool();
                (pool.size(), idle(pool.num_idle()))
            }
            DbBackend::Postgres => {
                let pool = self.pool.get_postgres_connection_pool();
                (pool.size(), idle(pool.num_idle()))
            }
            _ => {
                let pool = self.pool.get_mysql_connection_pool();
                (pool.size(), idle(pool.num_idle()))
            }
        }
    }

    pub(super) const fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Begins a transaction. It runs to its end even if nobody waits any more: a `BEGIN` whose answer nobody read
    /// would leave a connection in the pool that is in a transaction without knowing it.
    pub(super) async fn begin(&self, options: TransactionOptions) -> Result<DatabaseTransaction, DbErr> {
        let pool = self.pool.clone();
        let beginning = tokio::spawn(async move { pool.begin_with_options(options).await });
        self.bounded(async {
            beginning.await.map_err(|error| DbErr::Custom(format!("the transaction could not begin: {error}")))?
        })
        .await
    }

    pub(super) async fn close(self) {
        // A connection that was lost with the thread that used it never comes back: the process must end all the same.
        match tokio::time::timeout(CLOSE_WITHIN, self.pool.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "database did not close cleanly"),
            Err(_) => tracing::warn!("not every connection to the database came back in time"),
        }
    }

    async fn bounded<T>(&self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        tokio::time::timeout(self.limit, statement).await.unwrap_or_else(|_| Err(no_answer(self.limit)))
    }

    /// A read, from whoever can answer it.
    async fn read<T>(&self, statement: Statement, ask: Ask<T>) -> Result<T, DbErr> {
        let Some(primary) = &self.primary else { return self.read_here(statement, ask).await };
        if primary.replica_rests() {
            return primary.reads.read_here(statement, ask).await;
        }
        match self.read_here(statement.clone(), ask).await {
            Err(error) if is_transient(&error) => {
                primary.let_replica_rest(&error);
                primary.reads.read_here(statement, ask).await
            }
            outcome => {
                primary.replica_answered();
                outcome
            }
        }
    }

    async fn read_here<T>(&self, statement: Statement, ask: Ask<T>) -> Result<T, DbErr> {
        let repeats_max = if self.repeats { REPEATS_MAX } else { 0 };
        self.bounded(async {
            for _ in 0..repeats_max {
                match ask(self.pool.clone(), statement.clone()).await {
                    Err(error) if is_connection_lost(&error) => {
                        tracing::debug!(%error, "connection lost while reading, asking again");
                    }
                    outcome => return outcome,
                }
            }
            ask(self.pool.clone(), statement).await
        })
        .await
    }
}

impl Primary {
    fn replica_rests(&self) -> bool {
        let rests_until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        rests_until.is_some_and(|until| monotonic() < until)
    }

    fn let_replica_rest(&self, error: &DbErr) {
        let mut rests_until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        if rests_until.is_none() {
            tracing::warn!(%error, "the read replica does not answer, reading from the primary");
        }
        *rests_until = Some(monotonic() + REPLICA_REST);
    }

    fn replica_answered(&self) {
        if self.rests_until.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!("the read replica answers again");
        }
    }
}

fn no_answer(limit: Duration) -> DbErr {
    let text = format!("no answer from the database in {} ms", limit.as_millis());
    let error = sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text));
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

#[async_trait::async_trait]
impl ConnectionTrait for Bounded {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.noted(self.bounded(self.pool.execute_raw(statement)).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.noted(self.bounded(self.pool.execute_unprepared(sql)).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.read(statement, |pool, statement| Box::pin(async move { pool.query_one_raw(statement).await })).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.read(statement, |pool, statement| Box::pin(async move { pool.query_all_raw(statement).await })).await
    }
}

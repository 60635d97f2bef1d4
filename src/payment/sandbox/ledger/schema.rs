//! The tables. Columns are what is searched; `doc` is the object.

/// Run at every start; changes nothing that is there.
pub(super) const STATEMENTS: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS trades (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        provider TEXT NOT NULL, merchant TEXT NOT NULL, out_trade_no TEXT NOT NULL,
        transaction_id TEXT UNIQUE, state TEXT NOT NULL, total_fen INTEGER NOT NULL, refunded_fen INTEGER NOT NULL,
        paid_ms INTEGER, doc TEXT NOT NULL,
        UNIQUE (provider, merchant, out_trade_no))",
    "CREATE INDEX IF NOT EXISTS trades_paid ON trades (paid_ms)",
    "CREATE TABLE IF NOT EXISTS codes (
        code TEXT PRIMARY KEY, provider TEXT NOT NULL, merchant TEXT NOT NULL, out_trade_no TEXT NOT NULL,
        valid_until_ms INTEGER NOT NULL) WITHOUT ROWID",
    // `scope` is the trade where a refund's number is unique within it only (Alipay), else empty
    "CREATE TABLE IF NOT EXISTS refunds (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        provider TEXT NOT NULL, merchant TEXT NOT NULL, scope TEXT NOT NULL, out_refund_no TEXT NOT NULL,
        out_trade_no TEXT NOT NULL, refund_id TEXT NOT NULL UNIQUE, status TEXT NOT NULL, refund_fen INTEGER NOT NULL,
        created_ms INTEGER NOT NULL, settles_ms INTEGER, doc TEXT NOT NULL,
        UNIQUE (provider, merchant, scope, out_refund_no))",
    "CREATE INDEX IF NOT EXISTS refunds_trade ON refunds (provider, merchant, out_trade_no)",
    "CREATE INDEX IF NOT EXISTS refunds_due ON refunds (settles_ms) WHERE settles_ms IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS refunds_created ON refunds (created_ms)",
    "CREATE TABLE IF NOT EXISTS notices (
        ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE, out_trade_no TEXT NOT NULL, created_ms INTEGER NOT NULL, due_ms INTEGER,
        attempts INTEGER NOT NULL, delivered_ms INTEGER, last_status TEXT NOT NULL, doc TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS notices_due ON notices (due_ms) WHERE due_ms IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS notices_trade ON notices (out_trade_no)",
    "CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY AUTOINCREMENT, doc TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
];

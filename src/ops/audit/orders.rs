//! Orders a page at a time: each journal against its hashes, its money facts against the leaves of the order.

use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::AuditReport;
use crate::ops::check::stream::orphaned;
use crate::persistence::journal::chain::{self, Entry};
use crate::persistence::journal::first_broken;
use crate::persistence::money_log::{self, LeafRow, Owed};
use crate::persistence::{StoreError, query};
use crate::transparency::tree;

const OPERATION: &str = "auditing orders";
/// Orders in memory at once.
const PAGE_ORDERS: u64 = 1_000;

#[derive(FromQueryResult)]
struct Row {
    order_no: String,
    version: i32,
}

pub(super) async fn verify(tx: &impl ConnectionTrait, report: &mut AuditReport) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let select = Query::select()
            .columns(["order_no", "version"])
            .from("orders")
            .and_where(Expr::col("order_no").gt(after.as_str()))
            .order_by("order_no", Sort::Asc)
            .limit(PAGE_ORDERS)
            .to_owned();
        let rows: Vec<Row> = query::all(tx, &select, OPERATION).await?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.order_no);
        page(tx, &rows, report).await?;
    }
    orphaned(tx, "order_events", &mut report.chains).await?;
    orphaned(tx, "money_log", &mut report.leaves).await
}

async fn page(tx: &impl ConnectionTrait, rows: &[Row], report: &mut AuditReport) -> Result<(), StoreError> {
    let order_nos: Vec<String> = rows.iter().map(|row| row.order_no.clone()).collect();
    let entries = chain::read(tx, &order_nos).await?;
    let journals: HashMap<&str, &[Entry]> = entries
        .chunk_by(|one, other| one.order_no == other.order_no)
        .filter_map(|journal| Some((journal.first()?.order_no.as_str(), journal)))
        .collect();
    for row in rows {
        let journal = journals.get(row.order_no.as_str()).copied().unwrap_or_default();
        verify_chain(row, journal, report);
    }
    let mut leaves: HashMap<Owed, LeafRow> = HashMap::new();
    for row in money_log::rows_of(tx, &order_nos).await? {
        leaves.insert(Owed { order_no: row.order_no.clone(), seq: row.seq }, row);
    }
    let owed: HashSet<Owed> = money_log::owed_of(tx, &order_nos).await?.into_iter().collect();
    for (fact, leaf) in money_log::facts(&entries)? {
        let (order_no, seq) = (&fact.order_no, fact.seq);
        let event = Owed { order_no: order_no.clone(), seq };
        match leaves.remove(&event) {
            Some(row) => {
                let expected = hex::encode(tree::leaf_hash(leaf.as_bytes()));
                report.leaves.rows += 1;
                let told = || {
                    format!("order {order_no}, event {seq} ({}): leaf {} is of something else", fact.kind, row.leaf_no)
                };
                report.facts.expect(row.leaf_hash == expected, told);
            }
            None if owed.contains(&event) => report.owed += 1,
            None => report.facts.expect(false, || format!("order {order_no}, event {seq} ({}): no leaf", fact.kind)),
        }
    }
    for row in leaves.into_values() {
        let told = || format!("leaf {}: order {}, event {} is no money fact", row.leaf_no, row.order_no, row.seq);
        report.leaves.expect(false, told);
    }
    Ok(())
}

fn verify_chain(row: &Row, journal: &[Entry], report: &mut AuditReport) {
    let name = &row.order_no;
    let broken = first_broken(journal).map(i64::from);
    let is_unread = || journal.iter().find(|entry| entry.event().is_err()).map(|entry| i64::from(entry.seq));
    let is_short = || (journal.len() as i64 != i64::from(row.version)).then(|| journal.len() as i64 + 1);
    let first = broken.or_else(is_unread).or_else(is_short);
    report.chains.expect(first.is_none(), || format!("order {name}: event {} does not fit", first.unwrap_or(0)));
}

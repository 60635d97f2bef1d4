//! SDKs that others wrote, as counterparts: what the sandbox and the shop sign they believe, and the other way round.
//!
//! Each column of the matrix is an SDK in one of its modes, a process of its own (python/, node/) that prints a line
//! for each of its cells. `make test-sdk` installs the SDKs and names their directory in `RUSHMALL_TEST_SDKS`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod columns;
mod matrix;
mod shop;

use columns::{COLUMNS, Sdks};
use matrix::Matrix;
use shop::SdkShop;
use support::sandbox_process::SandboxProcess;

#[tokio::test]
async fn foreign_sdks_agree_with_the_sandbox_and_the_shop_in_every_cell() {
    let sdks = Sdks::installed();
    let sandbox = SandboxProcess::start();
    let mut shop = SdkShop::open(&sandbox).await;
    let mut matrix = Matrix::default();
    for column in &COLUMNS {
        shop.reopen().await;
        let order = shop.order(column).await;
        let task = sdks.task(column, &sandbox, &shop, &order);
        matrix.add(column, sdks.run(column, &task).await);
        if let Err(why) = shop.check_paid(&order).await {
            matrix.fail(column, "shop_accepts", &why);
        }
    }
    println!("{matrix}");
    matrix.assert_green();
    shop.check_notices().await;
    matrix.assert_documented();
}

//! A guest's cart whose move to the user was cut off between its steps arrives once.

use rushmall::domain::ProductId;
use rushmall::failpoint;
use tokio::sync::{Mutex, MutexGuard};

use crate::bench::{CUT_OFF_MS, LINES_MAX, NOW_MS, buyer, guest, redis_stores};

static MOVES: Mutex<()> = Mutex::const_new(());

/// Failpoints are the process's: one test moves carts at a time.
pub async fn alone() -> MutexGuard<'static, ()> {
    MOVES.lock().await
}

#[actix_rt::test]
async fn a_move_that_was_cut_off_is_ended_by_the_next_sign_in_or_the_sweep() {
    let _alone = alone().await;
    for bench in redis_stores().await {
        for (round, point) in ["carts.move.out.after", "carts.move.in.after"].into_iter().enumerate() {
            for is_swept in [false, true] {
                let owner = bench.user(&format!("li{round}{is_swept}")).await;
                let token = format!("token{round}{is_swept}");
                let [first, second]: [ProductId; 2] = bench.products().await;
                bench.add(&owner, first, 1).await.unwrap();
                bench.add(&guest(&token), first, 2).await.unwrap();
                assert!(failpoint::arm(&format!("{point}=panic@1")));
                let moving = bench.carts.merge(&token, buyer(&owner), LINES_MAX, NOW_MS);
                let died = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(moving)).await;
                assert!(died.is_err(), "{point} was not reached");
                // he is a guest again meanwhile
                bench.add(&guest(&token), second, 7).await.unwrap();
                if is_swept {
                    bench.carts.tidy(NOW_MS + CUT_OFF_MS - 1).await.unwrap();
                    bench.carts.tidy(NOW_MS + CUT_OFF_MS).await.unwrap();
                    assert_eq!(bench.content(&owner).await, [(first, 3)], "{} {point}", bench.name);
                    assert_eq!(bench.content(&guest(&token)).await, [(second, 7)]);
                }
                bench.carts.merge(&token, buyer(&owner), LINES_MAX, NOW_MS).await.unwrap();
                assert_eq!(bench.content(&owner).await, [(first, 3), (second, 7)], "{} {point}", bench.name);
                assert!(bench.content(&guest(&token)).await.is_empty());
            }
        }
    }
}

//! The catalogue: adding, editing, taking off, categories.

use serde_json::json;

use crate::support::shop::TestShop;

#[tokio::test]
async fn a_product_is_added_edited_field_by_field_and_deleted_for_good() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let body = json!({
        "name": "相机", "price": 1999.9, "stock": 7, "description": "小巧", "image_url": "/photos/1.jpg",
        "images": ["/photos/1.jpg", "/photos/2.jpg"], "attributes": { "颜色": "黑" }
    });
    let made = admin.post("/api/product", &body).await.accepted();
    let path = format!("/api/product/{}", made["id"]);
    let visitor = shop.visitor();
    let seen = visitor.get(&path).await.accepted();
    assert_eq!(
        (seen["name"].as_str(), seen["price"].as_f64(), seen["stock"].as_i64()),
        (Some("相机"), Some(1999.9), Some(7))
    );
    assert_eq!(seen["attributes"]["颜色"], "黑");

    // an absent field stays, the stock too
    let edited = admin.put(&path, &json!({ "price": 1899 })).await.accepted();
    for field in ["name", "stock", "description", "image_url", "images", "attributes", "status"] {
        assert_eq!(edited[field], seen[field], "{field}");
    }
    assert_eq!(edited["price"], 1899.0);
    assert_eq!(admin.put(&path, &json!({ "stock": 0 })).await.accepted()["stock"], 0);
    assert_eq!(admin.put(&path, &json!({ "stock": 9 })).await.accepted()["stock"], 9);

    // off the shelf: not listed, for nobody but administrators
    admin.put(&path, &json!({ "status": 0 })).await.accepted();
    assert_eq!(visitor.get("/api/product").await.accepted()["total"], 0);
    let off = admin.get("/api/product?status=0").await.accepted();
    assert_eq!(off["total"], 1, "{off}");
    admin.put(&path, &json!({ "status": 1 })).await.accepted();
    assert_eq!(visitor.get("/api/product").await.accepted()["total"], 1);

    admin.delete(&path).await.accepted();
    visitor.get(&path).await.with_status(404).rejected(20_001);
    admin.delete(&path).await.with_status(404).rejected(20_001);
    admin.put(&path, &json!({ "price": 1 })).await.with_status(404).rejected(20_001);
    shop.assert_stock_conserved(made["id"].as_i64().expect("an id")).await;
}

#[tokio::test]
async fn products_are_found_by_price_keyword_and_category_below() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let parent = admin.post("/api/category", &json!({ "name": "家用" })).await.accepted();
    let child = json!({ "name": "厨房", "parent_id": parent["id"] });
    admin.post("/api/category", &child).await.accepted();
    for (name, price, category) in [("锅", 50.0, "厨房"), ("灯", 20.0, "家用"), ("100%_纯棉", 80.0, "家用")] {
        let body = json!({ "name": name, "price": price, "stock": 1, "category": category });
        admin.post("/api/product", &body).await.accepted();
    }
    let visitor = shop.visitor();
    for (query, count) in [
        ("category=家用", 3),
        ("category=厨房", 1),
        ("category=没有", 0),
        ("keyword=灯", 1),
        ("keyword=%25", 1),
        ("keyword=_", 1),
        ("keyword='; DROP TABLE products; --", 0),
        ("min_price=20&max_price=50", 2),
        ("min_price=20.01", 2),
        ("category=家用&keyword=锅&max_price=50.00", 1),
    ] {
        let page = visitor.get(&format!("/api/product?{}", query.replace(' ', "%20"))).await.accepted();
        assert_eq!(page["total"], count, "{query}: {page}");
    }
    let cheap = visitor.get("/api/product?sort=price_asc").await.accepted();
    let prices: Vec<f64> =
        cheap["list"].as_array().expect("a list").iter().filter_map(|p| p["price"].as_f64()).collect();
    assert_eq!(prices, [20.0, 50.0, 80.0]);
    let wrong = json!({ "name": "x", "price": 1, "category": "没有" });
    admin.post("/api/product", &wrong).await.rejected(20_005);
}

#[tokio::test]
async fn sales_of_one_product_do_not_overlap_and_their_units_come_from_its_shelf() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("planned", 10).await;
    let listed = shop.visitor().get("/api/seckill").await.accepted();
    let shown = &listed["list"][0];
    assert_eq!(
        (shown["id"].as_i64(), shown["stock"].as_i64(), shown["status"].as_str()),
        (Some(sale.id), Some(10), Some("open"))
    );
    assert!(listed["server_time"].as_str().is_some_and(|at| at.len() == 29), "{listed}");
    let (other, _) = admin.make_sale("another", 1).await;
    let of_product = async |id: i64| {
        let found = shop.visitor().get(&format!("/api/seckill?product_id={id}")).await.accepted();
        let ids = found["list"].as_array().expect("a list").iter().map(|sale| sale["product_id"].as_i64().unwrap());
        (found["total"].as_i64().unwrap(), ids.collect::<Vec<_>>())
    };
    assert_eq!(of_product(other.id).await, (1, vec![other.id]));
    assert_eq!(of_product(99_999).await, (0, vec![]));
    let second = admin.try_plan_sale(&product, crate::support::verbs::SalePlan::open_now(1)).await;
    assert_eq!(second.with_status(400).rejected(60_006)["sale_id"], sale.id);
    let plain = admin.make_product("plain", 5.0, 3).await;
    let plan = crate::support::verbs::SalePlan::open_now(4);
    assert_eq!(admin.try_plan_sale(&plain, plan).await.rejected(20_003)["stock"], 3);
    assert_eq!(shop.books.count("SELECT COUNT(*) AS n FROM sales").await, 2, "a sale without units is none");
    admin.change_sale(&sale, &json!({ "stock": 4, "price": 1.5, "per_user_limit": 3 })).await.accepted();
    let ann = shop.register("ann").await;
    assert_eq!(ann.buy_units(&product, 3).await.accepted()["price"], 1.5);
    ann.buy_units(&product, 1).await.rejected(60_004);
    shop.register("bob").await.buy_units(&product, 2).await.rejected(60_003);
    shop.register("cid").await.buy_units(&product, 4).await.rejected(60_007);
    admin.close_sale(&sale).await.accepted();
    assert_eq!(admin.get(&format!("/api/product/{}", product.id)).await.accepted()["stock"], 7);
    admin.change_sale(&sale, &json!({ "stock": 4 })).await.rejected(60_002);
    admin.delete("/api/seckill/sale/999").await.with_status(404).rejected(60_008);
    shop.assert_stock_conserved(product.id).await;
    shop.assert_stock_conserved(plain.id).await;
}

//! Uploads: pictures by what is in them, written anew, bounded, and never anything else than pictures.

use image::ImageFormat;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::Person;
use crate::support::pictures::{drawn, drawn_as, form};
use crate::support::shop::TestShop;

async fn fetched(who: &Person, url: &str) -> (u16, reqwest::header::HeaderMap, Vec<u8>) {
    let response = who.request(Method::GET, url).send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.expect("a body").to_vec())
}

#[tokio::test]
async fn a_picture_of_each_kind_is_kept_and_served_as_what_it_is_whatever_it_was_called() {
    let shop = TestShop::open().await;
    let (ann, visitor) = (shop.register("ann").await, shop.visitor());
    for (hue, format) in (0..).zip([ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP]) {
        let file = drawn_as(40, 30, hue, format);
        let kept = ann.upload(&[("file", file.clone())]).await.accepted();
        let (url, name) = (kept["url"].as_str().expect("a url"), kept["filename"].as_str().expect("a name"));
        assert_eq!((&kept["width"], &kept["height"]), (&json!(40), &json!(30)), "{format:?}");
        assert!(url == format!("/uploads/{name}") && name.ends_with(".jpg") && !name.contains("x.php"), "{kept}");
        let (status, headers, served) = fetched(&visitor, url).await;
        assert_eq!(status, 200, "{format:?}");
        assert_eq!(headers["content-type"], "image/jpeg", "{format:?}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["content-security-policy"], "default-src 'none'; sandbox");
        assert_eq!(
            (served.len() as u64, image::guess_format(&served).ok()),
            (kept["size"].as_u64().expect("a size"), Some(ImageFormat::Jpeg))
        );
        let again = visitor.request(Method::GET, url).header("if-none-match", headers["etag"].clone());
        assert_eq!(again.send().await.expect("an answer").status(), 304);
        // the same file again is the same picture
        assert_eq!(ann.upload(&[("file", file)]).await.accepted()["url"], url);
    }
    assert_eq!(ann.get("/api/upload").await.accepted()["total"], 4);
}

#[tokio::test]
async fn several_files_are_kept_all_or_none() {
    let shop = TestShop::open().await;
    let ann = shop.register("ann").await;
    let two = [("files", drawn(8, 8, 1)), ("note", b"a word".to_vec()), ("files", drawn(8, 9, 2))];
    let kept = ann.upload_multi(&two).await.accepted();
    let heights: Vec<&Value> = kept.as_array().expect("a list").iter().map(|picture| &picture["height"]).collect();
    assert_eq!(heights, [&json!(8), &json!(9)]);
    let spoilt = [("files", drawn(8, 8, 3)), ("files", b"<svg/>".to_vec())];
    ann.upload_multi(&spoilt).await.with_status(415).rejected(70_003);
    let many: Vec<(&str, Vec<u8>)> = (0..11).map(|hue| ("files", drawn(4, 4, 10 + hue))).collect();
    ann.upload_multi(&many).await.with_status(400).rejected(70_007);
    ann.upload(&two).await.with_status(400).rejected(70_007);
    assert_eq!(ann.get("/api/upload").await.accepted()["total"], 2, "nothing of a refused request is kept");
}

#[tokio::test]
async fn what_is_no_picture_is_refused_by_its_content_in_both_languages() {
    let shop = TestShop::with(|settings| settings.uploads.pixels_max = 10_000).await;
    let ann = shop.register("ann").await;
    let png = drawn(64, 64, 0);
    let half = png[..png.len() / 2].to_vec();
    for (file, status, code) in [
        (Vec::new(), 400, 70_001),
        (b"<html><script>alert(1)</script>".to_vec(), 415, 70_003),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00<script>".to_vec(), 415, 70_003),
        (b"#!/bin/sh\n".to_vec(), 415, 70_003),
        (half, 415, 70_003),
        (drawn(101, 100, 0), 413, 70_002),
        (vec![0xff; 11 * 1024 * 1024], 413, 70_002),
    ] {
        let head = format!("{:?}", &file[..file.len().min(12)]);
        let answer = ann.upload(&[("file", file)]).await;
        assert_eq!((answer.status, answer.code), (status, code), "{head}: {answer:?}");
        assert!(!answer.message.is_ascii(), "Chinese by default: {}", answer.message);
    }
    let english = ann.request(Method::POST, "/api/upload").header("accept-language", "en");
    let english = english.header("content-type", "multipart/form-data; boundary=x").body("--x--\r\n");
    let answer: Value = english.send().await.expect("an answer").json().await.expect("an envelope");
    assert_eq!((&answer["code"], &answer["message"]), (&json!(70_001), &json!("the file is empty")));
    // bodies that are none, or end in the middle
    let whole = form(&[("file", png)]);
    ann.send_form("/api/upload", whole[..whole.len() - 40].to_vec()).await.with_status(400).rejected(70_008);
    ann.send_raw(Method::POST, "/api/upload", "application/json", "{}").await.with_status(400).rejected(70_008);
    ann.send_raw(Method::POST, "/api/upload", "multipart/form-data", "x").await.with_status(400).rejected(70_008);
    assert_eq!(ann.get("/api/upload").await.accepted()["total"], 0);
    ann.upload(&[("file", drawn(100, 100, 0))]).await.accepted();
}

#[tokio::test]
async fn a_picture_that_the_database_does_not_let_go_is_told_as_such_and_stays() {
    let shop = TestShop::open().await;
    let (ann, visitor) = (shop.register("ann").await, shop.visitor());
    let kept = ann.upload(&[("file", drawn(8, 8, 0))]).await.accepted();
    let path = format!("/api/upload/{}", kept["filename"].as_str().expect("a name"));
    let rename = async |from: &str, to: &str| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        let renaming = sea_orm::ConnectionTrait::execute_unprepared(shop.books.db().writer(), &sql).await;
        renaming.expect("the table has another name");
    };
    rename("uploads", "uploads_aside").await;
    let refused = ann.delete(&path).await.with_status(500);
    assert_eq!((refused.code, refused.message.as_str()), (70_006, "文件删除失败"), "{refused:?}");
    rename("uploads_aside", "uploads").await;
    assert_eq!(fetched(&visitor, kept["url"].as_str().expect("a url")).await.0, 200, "it is still there");
    ann.delete(&path).await.accepted();
    ann.delete(&path).await.with_status(404).rejected(70_005);
}

#[tokio::test]
async fn a_quota_ends_and_begins_anew_after_a_deletion() {
    let shop = TestShop::with(|settings| settings.uploads.user_files_max = 2).await;
    let (admin, ann, bob) = (shop.admin().await, shop.register("ann").await, shop.register("bob").await);
    let mut names = Vec::new();
    for hue in 0..2 {
        let kept = ann.upload(&[("file", drawn(8, 8, hue))]).await.accepted();
        names.push(kept["filename"].as_str().expect("a name").to_owned());
    }
    let refused = ann.upload(&[("file", drawn(8, 8, 9))]).await.with_status(403).rejected(70_010);
    assert!(refused["reason"].as_str().is_some_and(|reason| reason.contains("quota")), "{refused}");
    ann.upload(&[("file", drawn(8, 8, 1))]).await.accepted(); // one that he has
    for hue in 0..3 {
        admin.upload(&[("file", drawn(8, 8, hue))]).await.accepted();
    }
    let path = format!("/api/upload/{}", names[0]);
    bob.delete(&path).await.with_status(404).rejected(70_005);
    ann.delete("/api/upload/..%2Fetc").await.with_status(404).rejected(70_005);
    let url = format!("/uploads/{}", names[0]);
    assert_eq!(fetched(&bob, &url).await.0, 200);
    ann.delete(&path).await.accepted();
    assert_eq!(fetched(&bob, &url).await.0, 404);
    ann.delete(&path).await.with_status(404).rejected(70_005);
    ann.upload(&[("file", drawn(8, 8, 9))]).await.accepted();
    // an administrator removes what should not be seen, and it is written down
    admin.delete(&format!("/api/upload/{}", names[1])).await.accepted();
    assert_eq!(admin.get("/api/admin/audit-log?action=upload.delete").await.accepted()["total"], 1);
}

//! Has the web client embedded anew when it was built anew. Only release builds embed it; others read it from `web/dist`
//! when they start, so that nothing is compiled for a changed page. That directory is in the repository, empty: a build
//! without Node.js finds nothing in it and is complete nevertheless.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rerun-if-changed=web/dist");
    }
}

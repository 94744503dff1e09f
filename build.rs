//! Makes cargo look at the built web UI again when it changed: its files have other names with each build.

fn main() {
    println!("cargo::rerun-if-changed=dashboards/web/dist");
}

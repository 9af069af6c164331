//! Maps of crates that Hearth is built from, as they lie in Cargo's registry.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use hearth::{
    index::{Item, Kind, Origin},
    task::Wish,
};
use serde_json::{Value as Json, json};

use crate::world::{Answers, World};

/// Small ones of different kinds: macros, tables, generics, a deep tree of modules.
const CRATES: [&str; 4] = ["ropey", "ignore", "dashmap", "boon"];

fn folders() -> Vec<PathBuf> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    let metadata: Json = serde_json::from_slice(&cargo.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let wanted = packages.filter(|package| CRATES.iter().any(|name| package["name"] == *name));
    wanted
        .filter_map(|package| Some(Path::new(package["manifest_path"].as_str()?).parent()?.into()))
        .collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

#[tokio::test]
async fn every_item_is_on_the_map_and_it_costs_a_fraction_of_the_files() {
    let folders = folders();
    assert!(folders.len() >= CRATES.len());
    let (mut all_map, mut all_source) = (0, 0);
    for root in folders {
        let world = World::at(tempfile::tempdir().unwrap(), root.clone(), &json!({}));
        let (map, source_tokens) =
            hearth::task::analyze::map(&world.place(Wish::Stays, &Answers::none()), None)
                .await
                .expect("a map");
        let index = world.desk.index().read();
        let mut missing = Vec::new();
        for (id, file) in index.files().filter(|(_, file)| *file.origin() == Origin::Workspace) {
            let sheet =
                map.sheets.iter().find(|sheet| sheet.path == *file.path()).expect("a sheet");
            let is_shown = |item: &Item<'_>| {
                let whole =
                    sheet.lines.iter().any(|line| words(&line.text).any(|it| it == item.name()));
                whole || matches!(item.kind(), Kind::Impl)
            };
            missing.extend(index.items(id).filter(|item| !is_shown(item)).map(|item| item.path()));
        }
        assert_eq!(missing, Vec::<String>::new(), "{}", root.display());
        assert_eq!(map.items(), map.of_items);
        let count = |text: &str| hearth::model::TokenCounter::default().count(text);
        all_map += map.tokens(&count);
        all_source += source_tokens;
    }
    // Of thin wrappers such as `dashmap` a third is signatures; of most code a tenth.
    let saved = 1.0 - all_map as f64 / all_source as f64;
    assert!(saved >= 0.7, "{all_map} of {all_source}: {:.1} % fewer", saved * 100.0);
}

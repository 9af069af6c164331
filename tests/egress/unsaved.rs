//! A text that is in the editor and not on disk has secrets as well.

use std::sync::Arc;

use hearth::{
    egress::{Consent, Content, Origin, Piece},
    session::{Opened, Session},
};

use super::{Workspace, parcel, text, words};

const KEY: [&str; 3] = [
    "MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun",
    "VTLw7onLRnrq0/IzW7yWR7QkrmBL7jTKEn5u+qKhbwKfBstIs+bMY2Zkp18gnTxK",
    "LxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3qqGElvW/VDL5AaWTg0nLVkjRo",
];

/// Lines of the key as an analysis shows them: each with its number, none of its beginning.
fn shown() -> Content {
    let lines = KEY.iter().enumerate().map(|(n, line)| format!("{} {line}\n", n + 4));
    let origin = Origin::new("src/a.rs", 3..6);
    Content::Piece(Piece::derived(vec![origin], lines.collect::<String>()).expect("an origin"))
}

#[tokio::test]
async fn a_secret_in_an_unsaved_buffer_stays_wherever_a_piece_is_cut() {
    let house = Workspace::new("//- src/a.rs\nfn a() {}\n");
    let key = KEY.join("\n");
    let pem = ["-----BEGIN RSA PRIVATE KEY-----", &key, "-----END RSA PRIVATE KEY-----"].join("\n");
    let unsaved = format!("fn a() {{}}\nconst PEM: &str = \"\n{pem}\n\";\n");
    let session = Arc::new(Session::default());
    // Under another name of the same file.
    let path = house.root().join("src/../src/a.rs");
    session.open(Opened {
        uri: "file:///a".into(),
        path: Some(path.into()),
        language_id: "rust".into(),
        version: 0,
        text: unsaved,
    });
    let border = house.border().with_open(session);
    let permit = border.examine(parcel(vec![shown()]), words).unwrap().seal(Consent::Once).unwrap();
    for line in KEY {
        assert!(!text(&permit).contains(line), "{}", text(&permit));
    }
    assert_eq!(permit.manifest().redactions.values().sum::<usize>(), KEY.len());
    // What nobody has seen the beginning of looks like nothing: it is the editor's text that tells.
    let permit = house.try_once(parcel(vec![shown()])).expect("a permit");
    assert!(text(&permit).contains(KEY[0]));
}

use hearth::egress::Permit;

fn stored(text: &str) -> Permit {
    serde_json::from_str(text).unwrap()
}

fn main() {
    let _ = stored;
}

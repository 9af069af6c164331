use hearth::egress::Permit;

fn read<T: for<'a> From<&'a str> + Default>(text: &str) -> T {
    if text.is_empty() { T::default() } else { T::from(text) }
}

fn stored(text: &str) -> Permit {
    read(text)
}

fn main() {
    let _ = stored;
}

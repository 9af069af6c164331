use hearth::egress::{Examined, Permit};

fn call(permit: &Permit) -> usize {
    permit.turns().len()
}

fn forgotten(examined: &Examined) -> usize {
    call(examined)
}

fn main() {
    let _ = forgotten;
}

//! What a cloud provider's call looks like, and the one way to one.

use hearth::egress::{Consent, Examined, Permit, Refusal};

fn call(permit: &Permit) -> usize {
    permit.turns().len()
}

fn allowed(examined: Examined) -> Result<usize, Refusal> {
    let permit = examined.seal(Consent::Once)?;
    Ok(call(&permit))
}

fn main() {
    let _ = allowed;
}

//! Fits the weights of the ranking: a logistic regression over every candidate at every hole, by
//! Newton's method.

use std::{collections::BTreeSet, fmt::Write as _};

use hearth::context::{
    rank::{FEATURES, Features},
    recall,
};

use super::{
    Mode,
    corpus::Repo,
    measure::hole,
    ours::Ours,
    truth::{Point, Stoplist, points},
};

/// Of candidates that are not needed, one in so many is looked at, and counts for that many.
const THINNED: u64 = 8;

/// The best so many candidates of a hole are looked at in any case.
const KEPT: usize = 150;

/// How strongly weights are pulled to zero.
const RIDGE: f64 = 2.0;

const STEPS: usize = 12;

const N: usize = FEATURES.len();

struct Row {
    features: Features,
    is_needed: bool,
    weight: f64,
}

/// Prints the weights that describe these repositories best, as `src/context/weights.rs` has them.
pub fn fit(repos: &[Repo]) -> anyhow::Result<()> {
    let stoplist = Stoplist::default();
    let (mut rows, mut needed, mut reached) = (Vec::new(), 0, 0);
    for repo in repos {
        let ours = Ours::open(repo)?;
        for mode in [Mode::Maintenance, Mode::Forward] {
            for point in points(repo, &stoplist) {
                needed += point.needed.len();
                reached += rows_of(repo, &point, mode, &ours, &mut rows);
            }
        }
        eprintln!("{}: {} rows", repo.name, rows.len());
    }
    let weights = newton(&rows);
    let mut page = String::new();
    for line in weights.chunks(10) {
        page.push_str("   ");
        for weight in line {
            let _ = write!(page, " {weight:.3},");
        }
        page.push('\n');
    }
    println!("{reached} of {needed} needed names are among the candidates; {} rows\n", rows.len());
    println!("pub(super) const WEIGHTS: [f32; FEATURES.len()] = [\n{page}];\n");
    for (name, weight) in FEATURES.iter().zip(weights) {
        println!("{weight:>8.3}  {name}");
    }
    Ok(())
}

/// Adds the candidates of a hole; returns how many needed names are among them.
fn rows_of(repo: &Repo, point: &Point, mode: Mode, ours: &Ours, rows: &mut Vec<Row>) -> usize {
    let (text, offset) = hole(repo, point, mode);
    let open = ours.enter(repo, point.file, &text, offset);
    let contents = open.index().read();
    let mut reached = BTreeSet::new();
    for (rank, candidate) in recall::candidates(&contents, &open.subject()).iter().enumerate() {
        let Some(item) = contents.item(candidate.place) else { continue };
        let path = item.file().relative_path();
        let needed = point.needed.iter().find(|needed| {
            needed.name == item.name()
                && needed.files.iter().any(|file| repo.files[*file].relative == path)
        });
        if let Some(needed) = needed {
            reached.insert(&needed.name);
        }
        let mixed = (rank as u64 ^ ((offset as u64) << 20)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let is_kept = needed.is_some() || rank < KEPT;
        if is_kept || (mixed >> 40).is_multiple_of(THINNED) {
            let weight = if is_kept { 1.0 } else { THINNED as f64 };
            let features = candidate.features;
            rows.push(Row { features, is_needed: needed.is_some(), weight });
        }
    }
    reached.len()
}

fn newton(rows: &[Row]) -> [f64; N] {
    let mut weights = [0.0; N];
    weights[0] = -6.0;
    for _ in 0..STEPS {
        let mut gradient = [0.0; N];
        let mut hessian = vec![[0.0; N]; N];
        let mut loss = 0.0;
        for row in rows {
            let x = row.features.map(f64::from);
            let sum: f64 = x.iter().zip(&weights).map(|(x, weight)| x * weight).sum();
            let chance = 1.0 / (1.0 + (-sum).exp());
            let target = f64::from(u8::from(row.is_needed));
            loss -= row.weight * if row.is_needed { chance.ln() } else { (1.0 - chance).ln() };
            let curve = row.weight * chance * (1.0 - chance);
            for i in 0..N {
                if x[i] == 0.0 {
                    continue;
                }
                gradient[i] += row.weight * (target - chance) * x[i];
                for j in 0..=i {
                    hessian[i][j] += curve * x[i] * x[j];
                }
            }
        }
        for i in 0..N {
            gradient[i] -= RIDGE * weights[i];
            hessian[i][i] += RIDGE;
        }
        eprintln!("loss {loss:.1}");
        let step = solve(hessian, gradient);
        for (weight, step) in weights.iter_mut().zip(step) {
            *weight += step.clamp(-2.0, 2.0);
        }
    }
    weights
}

/// Solves a symmetric, positive system, of which the lower half is given, by Cholesky's method.
fn solve(mut matrix: Vec<[f64; N]>, mut vector: [f64; N]) -> [f64; N] {
    for i in 0..N {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            let rest = matrix[i][j] - sum;
            matrix[i][j] = if i == j { rest.max(1e-9).sqrt() } else { rest / matrix[j][j] };
        }
    }
    for i in 0..N {
        let sum: f64 = (0..i).map(|k| matrix[i][k] * vector[k]).sum();
        vector[i] = (vector[i] - sum) / matrix[i][i];
    }
    for i in (0..N).rev() {
        let sum: f64 = (i + 1..N).map(|k| matrix[k][i] * vector[k]).sum();
        vector[i] = (vector[i] - sum) / matrix[i][i];
    }
    vector
}

//! Sums over holes, and the table of them.

use std::{collections::HashSet, fmt::Write as _, time::Duration};

use hearth::model::{Budget, Segment, TokenCounter};

use super::{
    Mode, Options,
    baselines::{self, Chunk, Lexical},
    corpus::Repo,
    ours::Ours,
    truth::{Point, identifiers},
};

/// Tokens that a prompt may have.
pub const BUDGETS: [usize; 5] = [1_000, 2_000, 4_000, 8_000, 24_000];

/// Bytes of a token, on average over code; what the pilot of the protocol took.
const BYTES_PER_TOKEN: f64 = 3.3;

/// A piece of a prompt from another file.
pub struct Piece {
    pub file: usize,
    pub text: String,
    /// Names whose definitions it shows.
    pub defines: HashSet<String>,
}

/// A prompt, however it was built.
pub struct Shown {
    pub local: String,
    pub pieces: Vec<Piece>,
    /// Tokens of all of it.
    pub tokens: usize,
    /// Pieces that end or begin inside of an item.
    pub cut: usize,
    pub took: Duration,
}

/// Counts as the product does, at 3.3 bytes a token on average over `repos`.
pub fn counter(repos: &[Repo]) -> TokenCounter {
    let counter = TokenCounter::default();
    let sample: Vec<Segment> = repos
        .iter()
        .flat_map(|repo| repo.files.iter().filter(|file| !file.is_aside).take(10))
        .map(|file| Segment::text(file.text.as_str()))
        .collect();
    let bytes: usize = sample.iter().map(|segment| segment.as_str().len()).sum();
    let sealed = Budget::new(usize::MAX, None, 0, counter.clone()).seal(sample);
    if let Ok(prompt) = sealed {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let tokens = (bytes as f64 / BYTES_PER_TOKEN) as usize;
        // The counter believes a report only with a margin; this one is the truth.
        counter.calibrate(&prompt, tokens * 4 / 5);
    }
    counter
}

#[derive(Debug, Default, Clone, Copy)]
struct Cell {
    needed: usize,
    defined: usize,
    novel: usize,
    novel_defined: usize,
    novel_named: usize,
    named: usize,
    holes: usize,
    all_hit: usize,
    useful_tokens: usize,
    foreign_tokens: usize,
    overflow: usize,
    cut: usize,
    tokens: usize,
}

const METHODS: [&str; 4] =
    ["prefix + suffix", "similar 60-line windows", "BM25 over chunks", "hearth"];

/// The place of what is measured among them.
const OURS: usize = 3;

/// What all holes came to, by method and budget.
#[derive(Default)]
pub struct Sums {
    cells: [[Cell; BUDGETS.len()]; METHODS.len()],
    took: Vec<Duration>,
}

impl Sums {
    /// Builds every prompt for one hole and counts what is in it.
    pub fn point(
        &mut self,
        repo: &Repo,
        point: &Point,
        options: Options,
        lexical: Option<&Lexical>,
        ours: &Ours,
        counter: &TokenCounter,
    ) {
        let (text, offset) = hole(repo, point, options.mode);
        let open = ours.enter(repo, point.file, &text, offset);
        for (at, budget) in BUDGETS.into_iter().enumerate() {
            let shown = open.show(repo, budget, counter, options.cuts);
            if options.misses && budget == 2_000 {
                open.print_misses(repo, point, &shown);
            }
            self.took.push(shown.took);
            self.cells[OURS][at].add(point, &shown, budget, counter);
        }
        let Some(lexical) = lexical else { return };
        let query = baselines::query(&text, offset);
        let similar = lexical.similar(point.file, &query);
        let bm25 = lexical.bm25(point.file, &query);
        for (at, budget) in BUDGETS.into_iter().enumerate() {
            let baselines = [(100, &[][..]), (50, &similar[..]), (50, &bm25[..])];
            for (method, (local, chunks)) in baselines.into_iter().enumerate() {
                let shown = verbatim(repo, &text, offset, budget, local, chunks, counter);
                self.cells[method][at].add(point, &shown, budget, counter);
            }
        }
    }

    /// Definitions found and names needed.
    pub fn ours_at_2k(&self) -> (usize, usize) {
        let cell = &self.cells[OURS][1];
        (cell.defined, cell.needed)
    }

    pub fn table(&self) -> String {
        type Figure = fn(&Cell) -> f64;
        let figures: [(&str, Figure); 7] = [
            ("DefRecall %", |cell| percent(cell.defined, cell.needed)),
            ("DefRecall % of novel names", |cell| percent(cell.novel_defined, cell.novel)),
            ("NameRecall %", |cell| percent(cell.named, cell.needed)),
            ("NameRecall % of novel names", |cell| percent(cell.novel_named, cell.novel)),
            ("AllHit %", |cell| percent(cell.all_hit, cell.holes)),
            ("Precision %", |cell| percent(cell.useful_tokens, cell.foreign_tokens)),
            ("mean tokens", |cell| cell.tokens as f64 / cell.holes.max(1) as f64),
        ];
        let mut page = String::new();
        for (title, figure) in figures {
            let _ = write!(page, "{title:<28}");
            for budget in BUDGETS {
                let _ = write!(page, "{budget:>9}");
            }
            page.push('\n');
            let measured = |(method, _): &(usize, &&str)| self.cells[*method][0].holes > 0;
            for (method, name) in METHODS.iter().enumerate().filter(measured) {
                let _ = write!(page, "  {name:<26}");
                for cell in &self.cells[method] {
                    let _ = write!(page, "{:>9.1}", figure(cell));
                }
                page.push('\n');
            }
        }
        let sum = |of: fn(&Cell) -> usize| self.cells[OURS].iter().map(of).sum::<usize>();
        let mut took = self.took.clone();
        took.sort_unstable();
        let at = |percent: usize| {
            took.get(took.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
        };
        let _ = writeln!(
            page,
            "{} holes, {} needed names, {} of them novel; hearth: overflow {}, items cut {}, a prompt \
             in {:.1} ms at the median, {:.1} at p95",
            self.cells[OURS][0].holes,
            self.cells[OURS][0].needed,
            self.cells[OURS][0].novel,
            sum(|cell| cell.overflow),
            sum(|cell| cell.cut),
            at(50).as_secs_f64() * 1e3,
            at(95).as_secs_f64() * 1e3,
        );
        page
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

impl Cell {
    fn add(&mut self, point: &Point, shown: &Shown, budget: usize, counter: &TokenCounter) {
        let pieces: Vec<(&Piece, HashSet<&str>)> =
            shown.pieces.iter().map(|piece| (piece, identifiers(&piece.text).collect())).collect();
        let local: HashSet<&str> = identifiers(&shown.local).collect();
        let mut missed = 0;
        for needed in &point.needed {
            let name = needed.name.as_str();
            let defined = shown
                .pieces
                .iter()
                .any(|piece| needed.files.contains(&piece.file) && piece.defines.contains(name));
            let named =
                local.contains(name) || pieces.iter().any(|(_, words)| words.contains(name));
            missed += usize::from(!defined);
            self.needed += 1;
            self.defined += usize::from(defined);
            self.named += usize::from(named);
            self.novel += usize::from(needed.novel);
            self.novel_defined += usize::from(needed.novel && defined);
            self.novel_named += usize::from(needed.novel && named);
        }
        self.holes += 1;
        self.all_hit += usize::from(missed == 0);
        for (piece, words) in &pieces {
            let tokens = counter.count(&piece.text);
            let useful = point.needed.iter().any(|needed| words.contains(needed.name.as_str()));
            self.foreign_tokens += tokens;
            self.useful_tokens += if useful { tokens } else { 0 };
        }
        self.overflow += usize::from(shown.tokens > budget);
        self.cut += shown.cut;
        self.tokens += shown.tokens;
    }
}

/// The text without the statement, and where it was.
pub fn hole(repo: &Repo, point: &Point, mode: Mode) -> (String, usize) {
    let source = &repo.files[point.file];
    let (before, after) = (&source.text[..point.span.start], &source.text[point.span.end..]);
    if mode == Mode::Maintenance {
        return (format!("{before}{after}"), point.span.start);
    }
    // What is imported for the statement alone is imported once it is written.
    let rest = format!("{before}{}", &source.text[point.span.end..point.function.end]);
    let mut lines = String::new();
    for line in before.split_inclusive('\n') {
        let import = line.trim_start().starts_with("use ");
        let only_for_it = import
            && point.needed.iter().any(|needed| {
                identifiers(line).any(|word| word == needed.name)
                    && identifiers(&rest).filter(|word| *word == needed.name).count() == 1
            });
        if !only_for_it {
            lines.push_str(line);
        }
    }
    let offset = lines.len();
    (format!("{lines}{}", &source.text[point.span.end..point.function.end]), offset)
}

fn verbatim(
    repo: &Repo,
    text: &str,
    offset: usize,
    budget: usize,
    local_percent: usize,
    chunks: &[&Chunk],
    counter: &TokenCounter,
) -> Shown {
    let count = |text: &str| counter.count(text);
    let local = baselines::local(text, offset, budget * local_percent / 100, count);
    let mut tokens = count(&local);
    let mut pieces = Vec::new();
    for chunk in chunks {
        let size = count(&chunk.text);
        if tokens + size > budget {
            continue;
        }
        tokens += size;
        let source = &repo.files[chunk.file];
        let inside = source.definitions.iter().filter(|it| chunk.lines.contains(&it.line));
        pieces.push(Piece {
            file: chunk.file,
            text: chunk.text.clone(),
            defines: inside.map(|definition| definition.name.clone()).collect(),
        });
    }
    Shown { local, pieces, tokens, cut: 0, took: Duration::ZERO }
}

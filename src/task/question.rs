//! A question to a model that follows instructions, before it is known how much room there is.
//!
//! What changes least stands first, so that a second try finds most of it evaluated. What is asked
//! about is never cut; of what is there for orientation, whole pieces go when room is short.

use std::{path::Path, sync::Arc};

use crate::{
    egress::{Content, Destination, Origin, Parcel, Piece, Role, Turn},
    model::{Budget, Prompt, Segment, Tier, TokenCounter, budget::Overflow},
    route::{Mistake, Output, Witness, Work},
    session::Snapshot,
};

/// What is said, beyond this machine, of what a program printed.
const PRINTED: &str =
    "The tests that were run failed. What they printed stays on the user's machine.\n";

/// What a prompt is made of.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// What kind of work it is, and in which form the answer has to come.
    pub(super) work: Work,
    pub(super) form: Output,
    /// The file that all of it is about; `None` where the text is in none.
    pub(super) path: Option<Arc<Path>>,
    /// The file's lines.
    pub(super) lines: usize,
    /// Other files that something of it was taken from, with their lines.
    pub(super) also: Vec<(Arc<Path>, usize)>,
    pub(super) system: &'static str,
    /// The file and what it imports.
    pub(super) about: String,
    /// What the language is called in a fence.
    pub(super) language: &'static str,
    /// Skeletons of the file's other items, the most needed first; each ends in `\n`.
    pub(super) others: Vec<String>,
    /// What it is about.
    pub(super) subject: String,
    pub(super) instruction: String,
    /// What the answer must look like.
    pub(super) closing: String,
    /// Tokens that the answer may take.
    pub(super) output: usize,
}

impl Question {
    /// Tokens of what has to be shown, and of the answer: an estimate, before it is known who counts.
    pub(super) fn tokens(&self) -> usize {
        let counter = TokenCounter::default();
        let shown = self.texts(0).iter().map(|text| counter.count(text)).sum::<usize>();
        counter.count(self.system) + shown + self.output
    }

    /// The prompt for a model that is near, with what the last answer got wrong.
    pub(super) fn prompt(
        &self,
        budget: &Budget,
        mistake: Option<&Mistake>,
    ) -> Result<Prompt, Overflow> {
        let sealed = self.seal(budget, mistake);
        match (sealed, mistake) {
            // A wrong answer that leaves no room for another is not repeated to the model.
            (Err(_), Some(mistake)) => {
                let short = Mistake { answer: String::new(), ..mistake.clone() };
                self.seal(budget, Some(&short))
            }
            (sealed, _) => sealed,
        }
    }

    /// What a model at `tier` may be told of a mistake: nothing that quotes a file which `may_see` says
    /// it may not be shown, and beyond this machine nothing of which nobody knows where it comes from.
    pub(super) fn told(
        &self,
        mistake: &Mistake,
        tier: Tier,
        may_see: impl Fn(&Path) -> bool,
    ) -> Mistake {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        let here = tier == Tier::ThisMachine;
        let why = match mistake.witness {
            Witness::Hearth => mistake.why.clone(),
            Witness::Program if here => mistake.why.clone(),
            Witness::Program => PRINTED.to_owned(),
            Witness::Compiler => {
                let kept = paragraphs(&mistake.why, path).filter(|it| match &it.quotes {
                    Some(quotes) if quotes.is_empty() => here,
                    Some(quotes) => quotes.iter().all(|quote| may_see(quote.path())),
                    None => here,
                });
                kept.map(|it| it.text).collect::<Vec<_>>().join("\n\n")
            }
        };
        Mistake { why, ..mistake.clone() }
    }

    /// The same for a cloud, as pieces that know where they come from. `None` for text of no file.
    pub(super) fn parcel(
        &self,
        destination: Destination,
        mistake: Option<&Mistake>,
    ) -> Option<Parcel> {
        let path = self.path.as_deref()?;
        let file = Origin::new(path, 0..self.lines);
        let also = self.also.iter().map(|(path, lines)| Origin::new(&**path, 0..*lines));
        let files: Vec<Origin> = std::iter::once(file.clone()).chain(also).collect();
        let of_file = |text: String| Piece::derived(files.clone(), text).map(Content::Piece);
        let mut texts = self.texts(self.others.len());
        texts.push(self.closed());
        let asked = Turn { role: Role::User, contents: vec![of_file(texts.concat())?] };
        let mut turns = vec![asked];
        if let Some(Mistake { answer, why, witness }) = mistake {
            if !answer.trim().is_empty() {
                let said = vec![Content::Said(answer.clone())];
                turns.push(Turn { role: Role::Assistant, contents: said });
            }
            let mut contents = vec![Content::Framing("That was wrong.\n")];
            match witness {
                Witness::Hearth => contents.extend(of_file(format!("{why}\n"))),
                // What names no place may be what a build script printed.
                Witness::Compiler => contents.extend(paragraphs(why, path).filter_map(|it| {
                    let quotes = it.quotes.filter(|quotes| !quotes.is_empty())?;
                    let origins = std::iter::once(file.clone()).chain(quotes).collect();
                    Piece::derived(origins, format!("{}\n", it.text)).map(Content::Piece)
                })),
                // Nobody knows where what a program prints comes from.
                Witness::Program => contents.push(Content::Framing(PRINTED)),
            }
            contents.push(Content::Framing("Answer again, with this put right.\n"));
            turns.push(Turn { role: Role::User, contents });
        }
        Some(Parcel {
            destination,
            system: self.system,
            turns,
            tools: Vec::new(),
            answer_schema: None,
            max_output_tokens: self.output,
            private: false,
        })
    }

    /// Builds the prompt, with as many skeletons as there is room for. An error when not even the
    /// subject fits.
    fn seal(&self, budget: &Budget, mistake: Option<&Mistake>) -> Result<Prompt, Overflow> {
        let mut shown = self.others.len();
        loop {
            match budget.clone().seal_chat(self.system, self.segments(shown, mistake)) {
                Ok(prompt) => return Ok(prompt),
                Err(overflow) if shown == 0 => return Err(overflow),
                Err(_) => shown = shown * 3 / 4,
            }
        }
    }

    fn segments(&self, shown: usize, mistake: Option<&Mistake>) -> Vec<Segment> {
        let mut texts = self.texts(shown);
        if let Some(Mistake { answer, why, .. }) = mistake {
            let answered = match answer.trim() {
                "" => "\nYou have answered before.".to_owned(),
                answer => format!("\nYou answered before:\n\n{answer}\n"),
            };
            texts.push(format!(
                "{answered}\nThat was wrong:\n{why}\n\nAnswer again, with this put right.\n"
            ));
        }
        texts.push(self.closed());
        texts.into_iter().map(Segment::text).collect()
    }

    /// All but the closing words, with so many skeletons of other items.
    fn texts(&self, shown: usize) -> Vec<String> {
        let Self { about, language, others, subject, instruction, .. } = self;
        let mut texts = vec![about.clone()];
        if shown > 0 {
            let skeletons = others.iter().take(shown).map(String::as_str).collect::<String>();
            texts.push(format!(
                "\nOther items of the file, without bodies; they stay as they are:\n\
                 ```{language}\n{skeletons}```\n"
            ));
        }
        texts.extend([subject.clone(), format!("\n{instruction}\n")]);
        texts
    }

    fn closed(&self) -> String {
        format!("\n{}", self.closing)
    }
}

/// A paragraph of a compiler's report.
struct Paragraph<'a> {
    text: &'a str,
    /// The places that it quotes; `None` where one of them cannot be found.
    quotes: Option<Vec<Origin>>,
}

/// What a compiler reported of the file at `path`, by paragraphs.
///
/// A compiler says places as they are from the folder of the package or of the workspace around it,
/// which is somewhere above the file: whatever lies there under that name is taken for meant.
fn paragraphs<'a>(report: &'a str, path: &'a Path) -> impl Iterator<Item = Paragraph<'a>> {
    let meant = move |place: &str| -> Vec<Origin> {
        let mut parts = place.rsplitn(3, ':').skip(1);
        let line = parts.next().and_then(|line| line.parse::<usize>().ok());
        let (Some(line), Some(named)) = (line, parts.next()) else { return Vec::new() };
        let lines = line.saturating_sub(1)..line;
        let above = path.ancestors().skip(1).map(|folder| folder.join(named));
        above.filter(|path| path.is_file()).map(|path| Origin::new(path, lines.clone())).collect()
    };
    report.split("\n\n").map(move |text| {
        let places = text
            .lines()
            .map(str::trim_start)
            .filter_map(|line| line.strip_prefix("--> ").or_else(|| line.strip_prefix("::: ")));
        let mut quotes = Some(Vec::new());
        for found in places.map(&meant) {
            match &mut quotes {
                Some(all) if !found.is_empty() => all.extend(found),
                _ => quotes = None,
            }
        }
        Paragraph { text, quotes }
    })
}

/// The file that a snapshot is of, and its lines.
pub(super) fn place(snapshot: &Snapshot) -> (Option<Arc<Path>>, usize) {
    (snapshot.path.clone(), snapshot.text.len_lines())
}

/// The path of a file and what the module imports, as every question begins.
pub(super) fn about(path: &str, language: &str, imports: &[String]) -> String {
    if imports.is_empty() {
        return format!("File: {path}\n");
    }
    format!("File: {path}\n\nIt imports:\n```{language}\n{}\n```\n", imports.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use expect_test::{Expect, expect};

    use super::*;

    const REPORT: &str = "It does not compile:\nerror[E0061]: too many arguments\n --> src/lib.rs:4:5\n  |\n\
        4 |     f(1)\n\nnote: function defined here\n --> src/other.rs:1:4\n  |\n1 | fn f() {}\n\n\
        error: nowhere\n --> gone.rs:1:1\n\nbuild script: HELLO\n";

    fn check(tier: Tier, hidden: &str, expected: Expect) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("src")).expect("a folder");
        for name in ["src/lib.rs", "src/other.rs"] {
            fs::write(folder.path().join(name), "").expect("a file");
        }
        let question = Question {
            work: Work::Refactor,
            form: Output::Edits,
            path: Some(folder.path().join("src/lib.rs").into()),
            lines: 9,
            also: Vec::new(),
            system: "",
            about: String::new(),
            language: "rust",
            others: Vec::new(),
            subject: String::new(),
            instruction: String::new(),
            closing: String::new(),
            output: 0,
        };
        let witness = Witness::Compiler;
        let mistake = Mistake { answer: String::new(), why: REPORT.to_owned(), witness };
        let may_see = |path: &Path| !path.ends_with(hidden);
        expected.assert_eq(&question.told(&mistake, tier, may_see).why);
    }

    #[test]
    fn a_model_is_told_of_a_mistake_what_it_may_see() {
        check(
            Tier::ThisMachine,
            "none",
            expect![[r#"
            It does not compile:
            error[E0061]: too many arguments
             --> src/lib.rs:4:5
              |
            4 |     f(1)

            note: function defined here
             --> src/other.rs:1:4
              |
            1 | fn f() {}

            error: nowhere
             --> gone.rs:1:1

            build script: HELLO
        "#]],
        );
        check(
            Tier::ThisMachine,
            "other.rs",
            expect![[r#"
            It does not compile:
            error[E0061]: too many arguments
             --> src/lib.rs:4:5
              |
            4 |     f(1)

            error: nowhere
             --> gone.rs:1:1

            build script: HELLO
        "#]],
        );
        check(
            Tier::PrivateNetwork,
            "none",
            expect![[r#"
            It does not compile:
            error[E0061]: too many arguments
             --> src/lib.rs:4:5
              |
            4 |     f(1)

            note: function defined here
             --> src/other.rs:1:4
              |
            1 | fn f() {}"#]],
        );
        check(
            Tier::PrivateNetwork,
            "other.rs",
            expect![[r#"
            It does not compile:
            error[E0061]: too many arguments
             --> src/lib.rs:4:5
              |
            4 |     f(1)"#]],
        );
    }
}

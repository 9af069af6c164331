//! What a model copies from its prompt, and what that does to its probabilities.

use std::io::Cursor;

use expect_test::{Expect, expect};
use hearth::engine::{
    CLASSES, Config, Engine, EngineError, Gguf, Holes, Job, Options, Piece, Sources, Tokenizer,
};
use proptest::prelude::*;

use super::{finish, load, once, small, tiny::Tiny, written};

fn tokenizer() -> (Tokenizer, Holes) {
    let gguf = Gguf::open(Cursor::new(Tiny::qwen2().bytes())).unwrap();
    let config = Config::read(&gguf).unwrap();
    let tokenizer = Tokenizer::read(&gguf, config.n_vocab).unwrap();
    let holes = Holes::read(&gguf, &tokenizer).unwrap();
    (tokenizer, holes)
}

/// Definitions, prefix, suffix and what is begun, with bars between them, as tokens.
fn laid_out(tokenizer: &Tokenizer, fixture: &str) -> Vec<u32> {
    let parts: Vec<&str> = fixture.split('|').collect();
    let [definitions, prefix, suffix, begun] = parts[..] else { panic!("four parts") };
    let control = Piece::Control;
    let pieces = [
        [control("<|file_sep|>"), Piece::Text(definitions)],
        [control("<|fim_prefix|>"), Piece::Text(prefix)],
        [control("<|fim_suffix|>"), Piece::Text(suffix)],
        [control("<|fim_middle|>"), Piece::Text(begun)],
    ];
    tokenizer.encode_pieces(pieces.as_flattened()).unwrap()
}

/// What copying says comes next, the likeliest first.
#[track_caller]
fn check(fixture: &str, expected: Expect) {
    let (tokenizer, holes) = tokenizer();
    let prompt = laid_out(&tokenizer, fixture);
    let sources = Sources::of(&prompt, holes, &tokenizer).unwrap();
    let said = sources.next().unwrap().map_or_else(
        || "nothing".to_owned(),
        |copied| {
            let odds = copied.odds.iter().map(|(token, share)| {
                let text = String::from_utf8_lossy(tokenizer.bytes(*token));
                let text = if tokenizer.is_control(*token) { "END".into() } else { text };
                format!("{text:?} {share:.2}")
            });
            format!("class {}: {}", copied.class, odds.collect::<Vec<_>>().join(", "))
        },
    );
    expected.assert_eq(&said);
}

#[test]
fn the_longest_earlier_run_says_most() {
    check("|ab=c;\nxb=d;\n||ab=", expect![[r#"class 4: "c" 0.73, "d" 0.27"#]]);
    check("|b=c;\nb=d;\n||b=", expect![[r#"class 4: "d" 0.50, "c" 0.50"#]]);
    check("|ab=c;\n||z", expect!["nothing"]);
    check("|||", expect!["nothing"]);
}

#[test]
fn the_begun_line_goes_on_where_the_prefix_ended() {
    // A run that goes over the start of the line is longer than one that ends with it.
    check("|f\nx=a\ng\nx=b\nf\n||x=", expect![[r#"class 7: "a" 0.73, "b" 0.27"#]]);
}

#[test]
fn definitions_and_what_stands_behind_are_sources() {
    check("x.let|||x.", expect![[r#"class 5: "let" 1.00"#]]);
    check("||\nx.let|x.", expect![[r#"class 5: "let" 1.00"#]]);
}

#[test]
fn a_copy_starts_inside_a_token_and_ends_with_its_line() {
    check("|let\n||l", expect![[r#"class 2: "e" 1.00"#]]);
    check("|let\n||le", expect![[r#"class 5: "t" 1.00"#]]);
    check("|let  \n||let", expect![[r#"class 5: "END" 1.00"#]]);
}

#[test]
fn a_prompt_without_a_hole_has_no_sources() {
    let (tokenizer, holes) = tokenizer();
    let prompt = tokenizer.encode("let x = let").unwrap();
    assert!(Sources::of(&prompt, holes, &tokenizer).is_none());
}

fn copying(percent: i32) -> Tiny {
    Tiny { trust: vec![percent; CLASSES], ..Tiny::qwen2() }
}

/// An engine in which random weights say something else than the prompt.
#[test]
fn trust_decides_between_the_model_and_its_prompt() {
    let fixture = "|let abc = f(x);\n||let abc = f";
    let ask = |percent: i32| {
        let engine = load(&copying(percent), &small());
        let prompt = laid_out(engine.tokenizer(), fixture);
        finish(engine.generate(Job::new(prompt, 8))).unwrap()
    };
    let (text, tokens, usage) = ask(99);
    assert_eq!(text, "(x);");
    assert_eq!(usage.output_tokens, tokens.len() + 1, "the end of the line ends it");
    assert!(usage.logprob > 5.0 * 0.99_f32.ln() - 1e-3, "{}", usage.logprob);
    let alone = load(&Tiny::qwen2(), &small());
    let prompt = laid_out(alone.tokenizer(), fixture);
    let alone = finish(alone.generate(Job::new(prompt, 8))).unwrap();
    assert_ne!(alone.0, text);
    assert_eq!(ask(0).1, alone.1, "without trust nothing is changed");
}

#[test]
fn what_has_no_hole_is_the_models_own() {
    let job = || Job::new((0..40).map(|i| i % 7 + 40).collect(), 12);
    assert_eq!(once(&copying(90), job()).1, once(&Tiny::qwen2(), job()).1);
}

#[test]
fn a_table_of_another_size_is_refused() {
    let tiny = Tiny { trust: vec![5; CLASSES - 1], ..Tiny::qwen2() };
    let refused = |tiny: &Tiny| {
        let refused = Engine::load(written(&tiny.bytes()).path(), &Options::default());
        assert!(matches!(refused, Err(EngineError::Damaged(_))), "{refused:?}");
    };
    refused(&tiny);
    refused(&copying(101));
}

#[test]
fn what_is_given_is_said_and_judged() {
    let tiny = copying(60);
    let engine = load(&tiny, &small());
    let prompt = laid_out(engine.tokenizer(), "|ab ac\nab ad\n||ab");
    let chosen = finish(engine.generate(Job::new(prompt.clone(), 6))).unwrap();
    let given: Vec<u32> = chosen.1.iter().map(|(token, _)| *token).collect();
    let job = Job { given: given.clone(), ..Job::new(prompt.clone(), given.len()) };
    assert_eq!(finish(engine.generate(job)).unwrap().1, chosen.1);
    let end = engine.tokenizer().ends()[0];
    let job = Job { given: vec![given[0], end], ..Job::new(prompt.clone(), 2) };
    let ended = finish(engine.generate(job)).unwrap();
    assert_eq!(ended.1, chosen.1[..1]);
    assert!(ended.2.logprob < chosen.1[0].1, "the end has a probability, too");
    let job = Job { given: vec![u32::MAX], ..Job::new(prompt, 1) };
    assert!(matches!(finish(engine.generate(job)), Err(EngineError::NoToken { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the prompt, copying panics at nothing, its odds are 1 together, and what it adds as it
    /// goes is what a fresh start would see.
    #[test]
    fn odds_are_whole_and_the_same_from_any_start(
        prefix in "([ab]|let|\n|é){0,30}",
        suffix in "[ab\n]{0,10}",
        begun in "[abé]{0,6}",
        more in "[abé]{1,6}",
    ) {
        let (tokenizer, holes) = tokenizer();
        let prompt = laid_out(&tokenizer, &format!("|{prefix}|{suffix}|{begun}"));
        let mut grown = Sources::of(&prompt, holes, &tokenizer).unwrap();
        let more = tokenizer.encode(&more).unwrap();
        for token in &more {
            grown.push(*token);
        }
        let whole = [prompt, more].concat();
        let fresh = Sources::of(&whole, holes, &tokenizer).unwrap();
        let copied = grown.next().unwrap();
        prop_assert_eq!(&copied, &fresh.next().unwrap());
        if let Some(copied) = copied {
            prop_assert!(copied.class < CLASSES);
            let total: f32 = copied.odds.iter().map(|(_, share)| share).sum();
            prop_assert!((total - 1.0).abs() < 1e-5, "{}", total);
        }
    }
}

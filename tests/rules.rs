//! Who is asked, and why: every rule, their order, what privacy means, and a day's work.

use std::{collections::BTreeMap, fmt::Write as _};

use expect_test::{Expect, expect, expect_file};
use hearth::{
    model::Tier,
    route::{
        Decision, Limits, Manner, Need, Nobody, Output, Private, Rule, Standing, Work,
        policy::{ByRole, CloudOffer, Offer, Offers, decide},
    },
};
use proptest::prelude::*;

const LIMITS: Limits = Limits { context: 24_000, steps: 8, privacy_enforced: true };

fn offer(
    place: &str,
    model: &str,
    quantization: Option<(&str, u32)>,
    room: Option<usize>,
) -> Offer {
    Offer {
        place: place.to_owned(),
        model: model.to_owned(),
        quantization: quantization.map(|(name, _)| name.to_owned()),
        bits: quantization.map(|(_, bits)| bits),
        room,
    }
}

fn cloud(name: &str, standing: Standing) -> CloudOffer {
    CloudOffer { offer: offer(name, "frontier", None, None), standing, well: true }
}

/// Three models on this machine, and a cloud that the user was not asked about.
fn offers() -> Offers {
    let q4 = Some(("Q4_K_M", 4));
    let here = |model, room| Ok(offer("ollama", model, q4, Some(room)));
    Offers {
        machine: ByRole {
            completion: here("coder", 8_192),
            default: here("chat", 24_000),
            high_precision: here("large", 24_000),
        },
        network: ByRole::default(),
        clouds: vec![cloud("claude", Standing::Ask)],
    }
}

/// The same with a team's server that has this much room.
fn with_network(room: usize) -> Offers {
    let team = || Some(offer("team", "big", None, Some(room)));
    Offers { network: ByRole::of(|_| team()), ..offers() }
}

fn need(work: Work, context: usize) -> Need {
    Need::new(work, context)
}

fn private(work: Work, context: usize) -> Need {
    Need { private: vec![Private::Asked], ..need(work, context) }
}

fn check_with(need: &Need, limits: Limits, offers: &Offers, expected: Expect) {
    let shown = match decide(need, limits, offers) {
        Ok(decision) => {
            let rungs = decision.rungs().iter().map(|rung| {
                format!("{:?} {} {} {}", rung.tier, rung.manner, rung.offer.place, rung.offer.model)
            });
            format!("{}\n{}", decision.why, rungs.collect::<Vec<_>>().join("\n"))
        }
        Err(Nobody { why }) => format!("nobody: {why}"),
    };
    expected.assert_eq(&shown);
}

fn check(need: &Need, offers: &Offers, expected: Expect) {
    check_with(need, LIMITS, offers, expected);
}

#[test]
fn rule_1_what_is_private_stays() {
    check(
        &private(Work::Summarize, 100),
        &offers(),
        expect![[r#"
        it stays on this machine, as it was asked for as private: chat (Q4_K_M) at ollama, which follows instructions
        ThisMachine at once ollama chat"#]],
    );
    // Each of the rules behind it would send it up.
    check(
        &private(Work::Refactor, 90_000),
        &offers(),
        expect![[r#"
        it stays on this machine, as it was asked for as private; 24000 tokens fit at once, so it is done in parts: chat (Q4_K_M) at ollama, which follows instructions
        ThisMachine in parts ollama chat"#]],
    );
    check(
        &Need { steps: 20, ..private(Work::Draft, 10) },
        &offers(),
        expect![[r#"
        it stays on this machine, as it was asked for as private: large (Q4_K_M) at ollama, the most precise one
        ThisMachine at once ollama large"#]],
    );
    check(
        &private(Work::ComplexReasoning, 10),
        &offers(),
        expect![[r#"
        it stays on this machine, as it was asked for as private: large (Q4_K_M) at ollama, the most precise one
        ThisMachine at once ollama large"#]],
    );
    check(
        &Need { sent_up: true, ..private(Work::Draft, 10) },
        &offers(),
        expect![[r#"
        it stays on this machine, as it was asked for as private: chat (Q4_K_M) at ollama, which follows instructions
        ThisMachine at once ollama chat"#]],
    );
    // The private network is not this machine, and a standing consent changes nothing.
    let mut all = with_network(100_000);
    all.clouds = vec![cloud("claude", Standing::Allowed)];
    check(
        &private(Work::Summarize, 100),
        &all,
        expect![[r#"
        it stays on this machine, as it was asked for as private: chat (Q4_K_M) at ollama, which follows instructions
        ThisMachine at once ollama chat"#]],
    );
}

#[test]
fn each_reason_of_privacy_is_told() {
    for (reason, expected) in [
        (
            Private::Asked,
            expect![[r#"
            it stays on this machine, as it was asked for as private: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Private::Path("keys/vault.rs".to_owned()),
            expect![[r#"
            it stays on this machine, as keys/vault.rs is private (privacy.private): chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Private::Untrusted,
            expect![[r#"
            it stays on this machine, as the workspace is not trusted (hearth trust DIR): chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Private::Setting,
            expect![[r#"
            it stays on this machine, as every task is private (privacy.local_only): chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Private::Kept(".env looks like a place for secrets".to_owned()),
            expect![[r#"
            it stays on this machine, as .env looks like a place for secrets: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
    ] {
        let need = Need { private: vec![reason], ..need(Work::Extract, 100) };
        check(&need, &offers(), expected);
    }
}

#[test]
fn privacy_that_is_not_enforced_yields_to_the_user_alone() {
    let limits = Limits { privacy_enforced: false, ..LIMITS };
    check_with(
        &private(Work::ComplexReasoning, 10),
        limits,
        &offers(),
        expect![[r#"
        it stays on this machine, as it was asked for as private: large (Q4_K_M) at ollama, the most precise one
        ThisMachine at once ollama large"#]],
    );
    let sent_up = Need { sent_up: true, ..private(Work::ComplexReasoning, 10) };
    check_with(
        &sent_up,
        limits,
        &offers(),
        expect![[r#"
        it was sent up for this run: frontier at claude
        Cloud at once claude frontier
        ThisMachine at once ollama large"#]],
    );
}

#[test]
fn rule_2_the_user_sends_it_up() {
    check(
        &Need { sent_up: true, ..need(Work::Summarize, 100) },
        &with_network(100_000),
        expect![[r#"
        it was sent up for this run: frontier at claude
        Cloud at once claude frontier
        PrivateNetwork at once team big
        ThisMachine at once ollama chat"#]],
    );
}

#[test]
fn rule_3_too_much_context_goes_up_unless_it_can_be_chunked() {
    check(
        &need(Work::Refactor, 24_000),
        &offers(),
        expect![[r#"
        refactor is routine work: chat (Q4_K_M) at ollama, which follows instructions
        ThisMachine at once ollama chat"#]],
    );
    check(
        &need(Work::Refactor, 24_001),
        &offers(),
        expect![[r#"
        its 24001 tokens are more than the 24000 of router.thresholds.max_local_context_tokens, and refactor cannot be done in parts: frontier at claude
        Cloud at once claude frontier
        ThisMachine in parts ollama chat"#]],
    );
    check(
        &need(Work::Summarize, 24_001),
        &offers(),
        expect![[r#"
        summarize is routine work; 24000 tokens fit at once, so it is done in parts: chat (Q4_K_M) at ollama, which follows instructions
        ThisMachine in parts ollama chat"#]],
    );
    // The private network is nearer, if it has the room.
    check(
        &need(Work::Refactor, 24_001),
        &with_network(32_000),
        expect![[r#"
        its 24001 tokens are more than the 24000 of router.thresholds.max_local_context_tokens, and refactor cannot be done in parts: big at team, which follows instructions
        PrivateNetwork at once team big
        Cloud at once claude frontier
        ThisMachine in parts ollama chat"#]],
    );
    check(
        &need(Work::Refactor, 60_000),
        &with_network(32_000),
        expect![[r#"
        its 60000 tokens are more than the 24000 of router.thresholds.max_local_context_tokens, and refactor cannot be done in parts: frontier at claude
        Cloud at once claude frontier
        PrivateNetwork in parts team big
        ThisMachine in parts ollama chat"#]],
    );
}

#[test]
fn rule_4_too_many_steps_go_up() {
    check(
        &Need { steps: 8, ..need(Work::Draft, 100) },
        &offers(),
        expect![[r#"
        draft is routine work: large (Q4_K_M) at ollama, the most precise one
        ThisMachine at once ollama large"#]],
    );
    check(
        &Need { steps: 9, ..need(Work::Draft, 100) },
        &offers(),
        expect![[r#"
        its 9 tool calls are more than the 8 of router.thresholds.max_tool_chain_length: frontier at claude
        Cloud at once claude frontier
        ThisMachine at once ollama large"#]],
    );
}

#[test]
fn rule_5_frontier_work_goes_up() {
    check(
        &need(Work::LargeCodebaseAnalysis, 400_000),
        &offers(),
        expect![[r#"
        large_codebase_analysis needs a frontier model: frontier at claude
        Cloud at once claude frontier
        ThisMachine in parts ollama large"#]],
    );
    check(
        &need(Work::ComplexReasoning, 100),
        &offers(),
        expect![[r#"
        complex_reasoning needs a frontier model: frontier at claude
        Cloud at once claude frontier
        ThisMachine at once ollama large"#]],
    );
    check(
        &need(Work::NovelAlgorithmDesign, 100),
        &with_network(100_000),
        expect![[r#"
        novel_algorithm_design needs a frontier model: frontier at claude
        Cloud at once claude frontier
        PrivateNetwork at once team big
        ThisMachine at once ollama large"#]],
    );
}

#[test]
fn rule_6_all_else_is_local() {
    for (work, expected) in [
        (
            Work::Completion,
            expect![[r#"
            completion is routine work: coder (Q4_K_M) at ollama, which completes code
            ThisMachine at once ollama coder"#]],
        ),
        (
            Work::Summarize,
            expect![[r#"
            summarize is routine work: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Work::Classify,
            expect![[r#"
            classify is routine work: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Work::Extract,
            expect![[r#"
            extract is routine work: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Work::Draft,
            expect![[r#"
            draft is routine work: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Work::Refactor,
            expect![[r#"
            refactor is routine work: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Work::TestGeneration,
            expect![[r#"
            test_generation is routine work: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Work::ToolSelection,
            expect![[r#"
            tool_selection is routine work: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Work::Routing,
            expect![[r#"
            routing is routine work: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            Work::CommitMessage,
            expect![[r#"
            commit_message is routine work: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
        (
            "brew_coffee".parse().unwrap(),
            expect![[r#"
            nothing says that it needs more than a local model: chat (Q4_K_M) at ollama, which follows instructions
            ThisMachine at once ollama chat"#]],
        ),
    ] {
        check(&need(work, 1_000), &offers(), expected);
    }
}

#[test]
fn rules_come_in_their_order() {
    let rule = |need: &Need| decide(need, LIMITS, &offers()).unwrap().rule;
    // One task that every rule is about, with one reason less each time.
    let mut all = Need {
        work: Work::NovelAlgorithmDesign,
        context: 90_000,
        steps: 20,
        output: Output::Json,
        private: vec![Private::Path("a".to_owned()), Private::Setting],
        sent_up: true,
    };
    assert_eq!(rule(&all), Rule::Private(Private::Path("a".to_owned())));
    all.private.clear();
    assert_eq!(rule(&all), Rule::SentUp);
    all.sent_up = false;
    assert_eq!(rule(&all), Rule::Context);
    all.context = 24_000;
    assert_eq!(rule(&all), Rule::Steps);
    all.steps = 8;
    assert_eq!(rule(&all), Rule::Frontier);
    all.work = Work::Draft;
    assert_eq!(rule(&all), Rule::Routine);
    all.work = Work::Unknown;
    assert_eq!(rule(&all), Rule::Unknown);
}

#[test]
fn strict_output_and_several_steps_take_the_most_precise_model() {
    check(
        &Need { output: Output::Json, ..need(Work::Extract, 100) },
        &offers(),
        expect![[r#"
        extract is routine work: large (Q4_K_M) at ollama, the most precise one, as the output is strict
        ThisMachine at once ollama large"#]],
    );
    check(
        &Need { output: Output::Edits, ..need(Work::Refactor, 100) },
        &offers(),
        expect![[r#"
        refactor is routine work: large (Q4_K_M) at ollama, the most precise one, as the output is strict
        ThisMachine at once ollama large"#]],
    );
    check(
        &Need { steps: 2, ..need(Work::Draft, 100) },
        &offers(),
        expect![[r#"
        draft is routine work: large (Q4_K_M) at ollama, the most precise one
        ThisMachine at once ollama large"#]],
    );
    // With less than four bits a weight it comes after one on the private network, if that has more.
    let mut coarse = with_network(32_000);
    coarse.machine.high_precision = Ok(offer("ollama", "large", Some(("Q2_K", 2)), Some(24_000)));
    check(
        &Need { output: Output::Json, ..need(Work::Extract, 100) },
        &coarse,
        expect![[r#"
        extract is routine work: big at team, the most precise one, as the output is strict
        PrivateNetwork at once team big
        ThisMachine at once ollama large"#]],
    );
    check(
        &Need { output: Output::Json, ..private(Work::Extract, 100) },
        &coarse,
        expect![[r#"
        it stays on this machine, as it was asked for as private: large (Q2_K) at ollama, the most precise one, as the output is strict, though coarse for that
        ThisMachine at once ollama large"#]],
    );
}

#[test]
fn without_a_cloud_it_is_done_near_and_says_so() {
    let analysis = need(Work::LargeCodebaseAnalysis, 400_000);
    let mut none = offers();
    none.clouds.clear();
    check(
        &analysis,
        &none,
        expect![[r#"
        large_codebase_analysis needs a frontier model; no cloud is set up (router.cloud), so it stays on this machine; 24000 tokens fit at once, so it is done in parts: large (Q4_K_M) at ollama, the most precise one
        ThisMachine in parts ollama large"#]],
    );
    let mut declined = with_network(32_000);
    declined.clouds = vec![cloud("claude", Standing::Never)];
    check(
        &analysis,
        &declined,
        expect![[r#"
        large_codebase_analysis needs a frontier model; sending to a cloud was declined for this workspace, so it stays on the private network; 24000 tokens fit at once, so it is done in parts: big at team, the most precise one
        PrivateNetwork in parts team big
        ThisMachine in parts ollama large"#]],
    );
    let mut down = offers();
    down.clouds[0].well = false;
    check(
        &analysis,
        &down,
        expect![[r#"
        large_codebase_analysis needs a frontier model; no cloud is well, so it stays on this machine; 24000 tokens fit at once, so it is done in parts: large (Q4_K_M) at ollama, the most precise one
        ThisMachine in parts ollama large"#]],
    );
}

#[test]
fn a_cloud_comes_behind_a_local_model_only_with_consent() {
    let mut some = offers();
    some.clouds = vec![
        cloud("asked", Standing::Ask),
        cloud("allowed", Standing::Allowed),
        cloud("never", Standing::Never),
    ];
    check(
        &need(Work::Summarize, 100),
        &some,
        expect![[r#"
        summarize is routine work: chat (Q4_K_M) at ollama, which follows instructions
        ThisMachine at once ollama chat
        Cloud at once allowed frontier"#]],
    );
    // Nobody named it, or somebody waits for it: it stays whatever the user allowed.
    check(
        &need(Work::Unknown, 100),
        &some,
        expect![[r#"
        nothing says that it needs more than a local model: chat (Q4_K_M) at ollama, which follows instructions
        ThisMachine at once ollama chat"#]],
    );
    check(
        &need(Work::Completion, 100),
        &some,
        expect![[r#"
        completion is routine work: coder (Q4_K_M) at ollama, which completes code
        ThisMachine at once ollama coder"#]],
    );
    let mut nothing_here = some;
    nothing_here.machine = ByRole::of(|_| Err("no model server answers".to_owned()));
    check(
        &need(Work::Summarize, 100),
        &nothing_here,
        expect![[r#"
        summarize is routine work: frontier at allowed
        Cloud at once allowed frontier"#]],
    );
    check(
        &private(Work::Summarize, 100),
        &nothing_here,
        expect![
            "nobody: no model server answers; and nobody else is asked, as it was asked for as private"
        ],
    );
}

#[test]
fn a_small_context_makes_parts_and_a_completion_is_cut() {
    let mut small = offers();
    small.machine.default = Ok(offer("llama-server", "small", None, Some(4_096)));
    check(
        &need(Work::Summarize, 10_000),
        &small,
        expect![[r#"
        summarize is routine work; 4096 tokens fit at once, so it is done in parts: small at llama-server, which follows instructions
        ThisMachine in parts llama-server small"#]],
    );
    check(
        &need(Work::Completion, 10_000),
        &small,
        expect![[r#"
        completion is routine work: coder (Q4_K_M) at ollama, which completes code
        ThisMachine at once ollama coder"#]],
    );
}

#[test]
fn a_completion_is_asked_of_this_machine_alone() {
    let mut all = with_network(100_000);
    all.clouds = vec![cloud("claude", Standing::Allowed)];
    check(
        &need(Work::Completion, 100),
        &all,
        expect![[r#"
        completion is routine work: coder (Q4_K_M) at ollama, which completes code
        ThisMachine at once ollama coder"#]],
    );
    all.machine = ByRole::of(|_| Err("no model server answers".to_owned()));
    check(&need(Work::Completion, 100), &all, expect!["nobody: no model server answers"]);
}

fn any_need() -> impl Strategy<Value = Need> {
    let reason = prop_oneof![
        Just(Private::Asked),
        Just(Private::Path("a".to_owned())),
        Just(Private::Untrusted),
        Just(Private::Setting),
        Just(Private::Kept("it stays".to_owned())),
    ];
    (
        prop::sample::select(&Work::ALL[..]),
        0..200_000_usize,
        0..40_usize,
        prop::sample::select(&Output::ALL[..]),
        prop::collection::vec(reason, 0..3),
        any::<bool>(),
    )
        .prop_map(|(work, context, steps, output, private, sent_up)| Need {
            work,
            context,
            steps,
            output,
            private,
            sent_up,
        })
}

fn any_offers() -> impl Strategy<Value = Offers> {
    let model = || {
        (prop::option::of(2..17_u32), prop::option::of(512..200_000_usize))
            .prop_map(|(bits, room)| Offer { bits, ..offer("somewhere", "model", None, room) })
    };
    let here = (any::<bool>(), model())
        .prop_map(|(there, model)| if there { Ok(model) } else { Err("none".to_owned()) });
    let standing = prop::sample::select(vec![Standing::Allowed, Standing::Ask, Standing::Never]);
    let cloud = (standing, any::<bool>())
        .prop_map(|(standing, well)| CloudOffer { well, ..cloud("c", standing) });
    (
        prop::array::uniform3(here),
        prop::array::uniform3(prop::option::of(model())),
        prop::collection::vec(cloud, 0..3),
    )
        .prop_map(|(machine, network, clouds)| {
            let [completion, default, high_precision] = machine;
            let machine = ByRole { completion, default, high_precision };
            let [completion, default, high_precision] = network;
            Offers { machine, network: ByRole { completion, default, high_precision }, clouds }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn privacy_reaches_nothing_but_this_machine(
        need in any_need(),
        offers in any_offers(),
        context in 512..100_000_usize,
        steps in 0..20_usize,
        privacy_enforced in any::<bool>(),
    ) {
        let limits = Limits { context, steps, privacy_enforced };
        let decided = decide(&need, limits, &offers);
        let untrusted = need.private.contains(&Private::Untrusted);
        let private =
            untrusted || !need.private.is_empty() && (privacy_enforced || !need.sent_up);
        if let Ok(decision) = decided && private {
            prop_assert!(decision.is_private());
            for rung in decision.rungs() {
                prop_assert_eq!(rung.tier, Tier::ThisMachine);
            }
        }
    }

    #[test]
    fn a_cloud_is_asked_by_rule_or_with_standing_consent(
        need in any_need(),
        offers in any_offers(),
    ) {
        if let Ok(decision) = decide(&need, LIMITS, &offers) {
            let by_rule = matches!(decision.rule, Rule::SentUp | Rule::Context | Rule::Steps | Rule::Frontier);
            let consented = offers.clouds.iter().any(|cloud| cloud.standing == Standing::Allowed);
            let goes_up = decision.rungs().iter().any(|rung| rung.tier == Tier::Cloud);
            prop_assert!(!goes_up || by_rule || consented);
        }
    }

    #[test]
    fn what_does_not_fit_is_done_in_parts(need in any_need(), offers in any_offers()) {
        if let Ok(decision) = decide(&need, LIMITS, &offers) {
            for rung in decision.rungs().iter().filter(|rung| rung.tier == Tier::ThisMachine) {
                let room = rung.offer.room.unwrap_or(usize::MAX).min(LIMITS.context);
                let whole = rung.manner == Manner::Whole;
                prop_assert!(!whole || need.context <= room || need.work == Work::Completion);
            }
        }
    }
}

/// A day of 200 tasks (`tests/rules/day.txt`): how many, then what each of them needs. The mix is
/// ours: mostly completions, then what a language server does beside them, and now and then a
/// question that is too large for this machine. Consent for the cloud stands, so that nothing but the
/// rules keeps a task at home.
#[expect(clippy::print_stdout, reason = "the figure is what one wants to see")]
#[test]
fn a_day_of_two_hundred_tasks() {
    let mut offers = offers();
    offers.clouds = vec![cloud("claude", Standing::Allowed)];
    let (mut shown, mut tasks, mut completions) = (String::new(), 0, 0);
    let mut tiers: BTreeMap<Tier, usize> = BTreeMap::new();
    for line in include_str!("rules/day.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let mut next = || words.next().expect("a column");
        let count: usize = next().parse().expect("a count");
        let mut need = need(next().parse().unwrap(), next().parse().expect("tokens"));
        need.steps = next().parse().expect("steps");
        let output = next();
        need.output = Output::ALL.into_iter().find(|it| it.as_str() == output).expect("a form");
        for word in words {
            match word {
                "private" => need.private.push(Private::Asked),
                "cloud" => need.sent_up = true,
                other => panic!("{other}"),
            }
        }
        let Decision { why, .. } = decide(&need, LIMITS, &offers).expect("somebody");
        let first = decide(&need, LIMITS, &offers).unwrap().first().clone();
        *tiers.entry(first.tier).or_default() += count;
        completions += if need.work == Work::Completion { count } else { 0 };
        tasks += count;
        let _ = writeln!(shown, "{line}\n    {}, {}: {why}", first.tier, first.manner);
    }
    let local = tiers[&Tier::ThisMachine];
    println!("{local} of {tasks} tasks stay on this machine ({tiers:?})");
    let _ = writeln!(shown, "{local} of {tasks} on this machine");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules/day-decided.txt");
    expect_file![file].assert_eq(&shown);
    assert_eq!(tasks, 200);
    assert!(local * 100 >= tasks * 80);
    // Completions alone don't carry it.
    assert!((local - completions) * 100 >= (tasks - completions) * 80);
}

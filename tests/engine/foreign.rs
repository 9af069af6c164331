//! Models of architectures that Hearth's own decoder does not know.

use hearth::engine::{Engine, EngineError};
#[cfg(feature = "llama-cpp")]
use {
    candle_core::quantized::GgmlDType,
    hearth::engine::{Job, Options},
};

#[cfg(feature = "llama-cpp")]
use crate::{finish, load, prompt};
use crate::{small, tiny::Tiny, written};

#[cfg(not(feature = "llama-cpp"))]
#[test]
fn are_refused_by_name() {
    let refused = Engine::load(written(&Tiny::granite().bytes()).path(), &small()).unwrap_err();
    assert_eq!(refused, EngineError::Architecture("granite".to_owned()));
}

/// Nothing but llama.cpp runs the one, nothing but Hearth's decoder the other.
#[cfg(feature = "llama-cpp")]
#[test]
fn say_through_llama_cpp_what_the_own_decoder_says() {
    let half = |tiny| Tiny { dtype: GgmlDType::F16, ..tiny };
    let ours = load(&half(Tiny::llama()), &small());
    let theirs = load(&half(Tiny::granite()), &small());
    assert_eq!(theirs.info().basics.architecture, "granite");
    assert!(theirs.info().weights_size > 0 && theirs.info().cache_size > 0);
    for n in [1, 20, 100] {
        let (_, ours, _) = finish(ours.generate(Job::new(prompt(n), 24))).unwrap();
        // Random weights have near ties: what is compared is how likely it finds the same tokens.
        let given = ours.iter().map(|(token, _)| *token).collect();
        let job = Job { given, ..Job::new(prompt(n), 24) };
        let (_, theirs, _) = finish(theirs.generate(job)).unwrap();
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!((ours.1 - theirs.1).abs() < 0.05, "{ours:?} {theirs:?}");
        }
    }
}

#[cfg(feature = "llama-cpp")]
#[test]
fn are_evaluated_where_they_changed_in_slots_of_their_own() {
    let engine = load(&Tiny::granite(), &Options { n_slots: 2, ..small() });
    let mut text = prompt(100);
    let other: Vec<u32> = prompt(60).into_iter().rev().collect();
    finish(engine.prefill(text.clone(), Some(0))).unwrap();
    finish(engine.prefill(other.clone(), Some(1))).unwrap();
    text[60] = 200;
    let (_, tokens, usage) = finish(engine.generate(Job::new(text.clone(), 8))).unwrap();
    assert_eq!(usage.cached_tokens, 60);
    let fresh = load(&Tiny::granite(), &small());
    let (_, anew, _) = finish(fresh.generate(Job::new(text, 8))).unwrap();
    let ids = |tokens: &[(u32, f32)]| tokens.iter().map(|(token, _)| *token).collect::<Vec<_>>();
    assert_eq!(ids(&tokens), ids(&anew));
    let (_, _, usage) = finish(engine.generate(Job::new(other, 1))).unwrap();
    assert_eq!(usage.cached_tokens, 59);
}

/// What llama.cpp itself cannot load is an error, and the process goes on.
#[cfg(feature = "llama-cpp")]
#[test]
fn are_refused_where_llama_cpp_does_not_know_them() {
    let tiny = Tiny { architecture: "unheard-of", ..Tiny::llama() };
    let refused = Engine::load(written(&tiny.bytes()).path(), &small()).unwrap_err();
    assert!(matches!(refused, EngineError::Unsupported(_)), "{refused}");
    // Not from a file: then there is nothing that llama.cpp could open.
    let bytes = std::io::Cursor::new(Tiny::granite().bytes());
    let refused = Engine::read(bytes, &small()).unwrap_err();
    assert_eq!(refused, EngineError::Architecture("granite".to_owned()));
}

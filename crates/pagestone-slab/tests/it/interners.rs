//! Interners of one thread and of many.
#![expect(clippy::cast_precision_loss, reason = "a mean")]

use std::{collections::HashMap, hash::BuildHasher};

use pagestone_slab::{ConcurrentInterner, ErrorKind, Growth, Interner, Symbol};

/// Strings of many lengths, over all sizes of characters.
fn word(at: usize) -> String {
    let mut word = format!("{at:x}");
    word.extend("é€𝄞x".chars().cycle().skip(at % 4).take(at % 40));
    word
}

#[test]
fn strings_are_stored_once() {
    let mut interner = Interner::<str>::new().unwrap();
    let words: Vec<String> = (0..20_000).map(word).collect();
    let symbols = interner.intern_many(words.iter().map(String::as_str)).unwrap();
    assert_eq!(interner.intern_many(words.iter().map(String::as_str)).unwrap(), symbols);
    assert_eq!(interner.len(), 20_000);
    for (word, &symbol) in words.iter().zip(&symbols) {
        assert_eq!(interner.resolve(symbol).unwrap(), word);
        assert_eq!(interner.lookup(word), Some(symbol));
        assert_eq!(Symbol::from_bits(symbol.to_bits()), Some(symbol));
    }
    assert_eq!(interner.lookup("nowhere"), None);
    let all: HashMap<Symbol, &str> = interner.iter().collect();
    assert_eq!(all.len(), 20_000);
    assert_eq!(size_of::<Option<Symbol>>(), 4);
    interner.clear();
    assert!(interner.is_empty() && interner.resolve(symbols[7]).is_err());
    assert_eq!(interner.resolve(interner_last()).unwrap_err().kind(), ErrorKind::StaleId);
}

fn interner_last() -> Symbol {
    Symbol::from_bits(u32::MAX).unwrap()
}

#[test]
fn empty_and_long_strings_have_symbols_too() {
    let mut interner = Interner::<str>::new().unwrap();
    for len in [0, 1, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 1 << 20] {
        let string = "€".repeat(len / 3) + &"x".repeat(len % 3);
        let symbol = interner.intern(&string).unwrap();
        assert_eq!(interner.intern(&string).unwrap(), symbol);
        assert_eq!(interner.resolve(symbol).unwrap(), string);
        interner.release(symbol).unwrap();
        assert_eq!(interner.lookup(&string), None);
        let other = "ö".repeat(len / 2) + &"y".repeat(len % 2);
        let symbol = interner.intern(&other).unwrap();
        assert_eq!(
            interner.resolve(symbol).unwrap(),
            other,
            "in a slot that held other characters"
        );
    }
}

#[test]
fn bytes_that_are_no_text_are_bytes() {
    let mut interner = Interner::<[u8]>::new().unwrap();
    let symbol = interner.intern(&[0xff, 0xc0, 0]).unwrap();
    let other = interner.intern(&[0xff, 0xc0]).unwrap();
    assert_ne!(symbol, other);
    assert_eq!(interner.resolve(symbol).unwrap(), [0xff, 0xc0, 0]);
    assert_eq!(
        interner.join(&[other, symbol], b", ").unwrap(),
        [0xff, 0xc0, b',', b' ', 0xff, 0xc0, 0]
    );
}

#[test]
fn released_space_is_used_again() {
    let mut interner = Interner::<str>::new().unwrap();
    let mut symbols: Vec<Symbol> =
        (0..50_000).map(|at| interner.intern(&format!("{at:08}")).unwrap()).collect();
    let mapped = interner.stats().mapped;
    for round in 1..6usize {
        assert_eq!(interner.release_many(symbols.drain(..)).unwrap(), 50_000);
        assert!(interner.is_empty());
        symbols.extend(
            (0..50_000).map(|at| interner.intern(&format!("{:08}", round * 50_000 + at)).unwrap()),
        );
    }
    assert!(interner.stats().mapped <= mapped + mapped / 4, "{} {mapped}", interner.stats().mapped);
    assert_eq!(interner.resolve(symbols[3]).unwrap(), "00250003");
}

#[test]
fn strings_are_held_as_often_as_asked() {
    let mut interner = Interner::<str>::new().unwrap();
    let symbol = interner.intern("one").unwrap();
    assert_eq!(interner.retain(symbol).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!((interner.ref_count(symbol).unwrap(), interner.release(symbol).unwrap()), (1, 0));
    assert_eq!(interner.release(symbol).unwrap_err().kind(), ErrorKind::StaleId);
    let symbol = interner.intern("one").unwrap();
    let mut interner = interner.with_counts();
    assert_eq!(interner.ref_count(symbol).unwrap(), 1);
    assert_eq!(interner.retain(symbol).unwrap(), 2);
    interner.intern("one").unwrap();
    assert_eq!((interner.release(symbol).unwrap(), interner.release(symbol).unwrap()), (2, 1));
    assert_eq!(interner.release(symbol).unwrap(), 0);
    for call in [Interner::ref_count, |i: &Interner, s| i.resolve(s).map(|_| 0)] {
        assert_eq!(call(&interner, symbol).unwrap_err().kind(), ErrorKind::StaleId);
    }
    assert!(interner.retain(symbol).is_err());
}

#[test]
fn strings_are_joined() {
    let mut interner = Interner::<str>::new().unwrap();
    let symbols = interner.intern_many(["a", "", "c"]).unwrap();
    assert_eq!(interner.join(&symbols, ", ").unwrap(), "a, , c");
    assert_eq!(interner.join(&[], ", ").unwrap(), "");
    interner.release(symbols[2]).unwrap();
    assert_eq!(interner.join(&symbols, ", ").unwrap_err().kind(), ErrorKind::StaleId);
}

#[test]
fn interners_are_merged() {
    let mut one = Interner::<str>::counted().unwrap();
    let mut other = Interner::<str>::counted().unwrap();
    for at in 0..3000 {
        one.intern(&word(at)).unwrap();
        other.intern(&word(at + 1500)).unwrap();
    }
    let twice = other.intern(&word(2000)).unwrap();
    let gone = other.intern("gone").unwrap();
    other.release(gone).unwrap();
    let map = one.merge(&other).unwrap();
    assert_eq!(one.len(), 4500);
    for (symbol, string) in other.iter() {
        assert_eq!(one.resolve(map.get(symbol).unwrap()).unwrap(), string);
    }
    assert_eq!(one.ref_count(map.get(twice).unwrap()).unwrap(), 3);
    assert_eq!(map.get(gone), None);
    assert_eq!(map.get(interner_last()), None);
}

#[test]
fn frozen_strings_are_shared() {
    let mut interner = Interner::<str>::counted().unwrap();
    let symbols: Vec<Symbol> = (0..2000).map(|at| interner.intern(&word(at)).unwrap()).collect();
    let frozen = interner.freeze();
    assert_eq!(frozen.len(), 2000);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for (at, &symbol) in symbols.iter().enumerate() {
                    assert_eq!(frozen.resolve(symbol).unwrap(), word(at));
                    assert_eq!(frozen.lookup(&word(at)), Some(symbol));
                }
            });
        }
    });
    assert_eq!((frozen.iter().count(), frozen.is_empty()), (2000, false));
    assert_eq!(frozen.stats().live, 2000);
}

/// Everything has the same hash: slow, and right.
#[derive(Debug, Clone, Copy)]
struct Same;

impl std::hash::Hasher for Same {
    fn finish(&self) -> u64 {
        42
    }

    fn write(&mut self, _: &[u8]) {}
}

impl BuildHasher for Same {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

#[test]
fn equal_hashes_are_no_equal_strings() {
    let mut interner = Interner::<str, Same>::with_hasher(Growth::default(), Same).unwrap();
    let shared = ConcurrentInterner::<str, Same>::with_hasher(Same);
    let symbols: Vec<Symbol> = (0..500).map(|at| interner.intern(&word(at)).unwrap()).collect();
    let other: Vec<Symbol> = (0..500).map(|at| shared.intern(&word(at)).unwrap()).collect();
    for at in 0..500 {
        assert_eq!(interner.lookup(&word(at)), Some(symbols[at]));
        assert_eq!(shared.lookup(&word(at)), Some(other[at]));
    }
}

#[test]
fn memory_for_each_string_is_little() {
    let mut interner = Interner::<str>::new().unwrap();
    let mut len = 0;
    for at in 0..200_000usize {
        let word = format!("{:0width$}", at, width = 8 + at * 7 % 12);
        len += word.len();
        interner.intern(&word).unwrap();
    }
    let mean = len as f64 / 200_000.0;
    assert!((13.0..14.0).contains(&mean), "{mean}");
    let each = |interner: &Interner| interner.stats().mapped as f64 / 200_000.0;
    assert!(each(&interner) <= 35.0, "{}", each(&interner));
    let plain = each(&interner);
    let counted = each(&interner.with_counts());
    assert!(counted <= 39.0 + plain * 0.1, "{plain} {counted}");
}

#[test]
fn threads_intern_each_string_once() {
    const THREADS: usize = 4;
    const WORDS: usize = 20_000;
    let interner = ConcurrentInterner::<str>::new();
    let symbols: Vec<Vec<Symbol>> = std::thread::scope(|scope| {
        let interner = &interner;
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let order = (0..WORDS).map(|at| (at * 7 + thread * 4999) % WORDS);
                    let mut symbols = vec![None; WORDS];
                    for at in order {
                        let symbol = interner.intern(&word(at)).unwrap();
                        assert_eq!(interner.resolve(symbol).unwrap(), word(at));
                        symbols[at] = Some(symbol);
                    }
                    symbols.into_iter().flatten().collect()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(symbols.iter().all(|other| *other == symbols[0]));
    assert_eq!(interner.len(), WORDS as u64);
    let all: HashMap<&str, Symbol> =
        interner.iter().map(|(symbol, string)| (string, symbol)).collect();
    assert_eq!(all.len(), WORDS);
    assert_eq!(interner.lookup("nowhere"), None);
    for bits in [15, u32::MAX, symbols[0][0].to_bits() | 1 << 31] {
        let symbol = Symbol::from_bits(bits).unwrap();
        assert_eq!(interner.resolve(symbol).unwrap_err().kind(), ErrorKind::StaleId, "{bits:#x}");
    }
    assert!(interner.mapped() < 4 << 20);
}

#[test]
fn a_shared_interner_takes_long_strings() {
    let interner = ConcurrentInterner::<[u8]>::default();
    assert!(interner.is_empty());
    for len in [0, 1, 70_000, 1 << 20, (1 << 24) - 2] {
        let string = vec![7; len];
        let symbol = interner.intern(&string).unwrap();
        assert_eq!(interner.resolve(symbol).unwrap(), string);
    }
    let error = interner.intern(&vec![7; (1 << 24) - 1]).unwrap_err();
    assert_eq!((error.kind(), interner.len()), (ErrorKind::InvalidArgument, 5));
}

/// Interns and releases at random, beside a map.
fn churn(mut interner: Interner, rounds: u32, growth_at: u32) {
    let mut model: HashMap<String, Symbol> = HashMap::new();
    let mut state = 1_u64;
    for round in 0..rounds {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let random = usize::try_from(state >> 40).unwrap();
        let string = word(random % 4000);
        match model.get(&string).copied() {
            None if random % 3 != 0 => {
                let symbol = interner.intern(&string).unwrap();
                assert!(round % 512 != 0 || !model.values().any(|other| *other == symbol));
                model.insert(string, symbol);
            }
            Some(symbol) if random % 3 == 0 => {
                assert_eq!(interner.release(symbol).unwrap(), 0);
                model.remove(&string);
                assert_eq!(interner.resolve(symbol).unwrap_err().kind(), ErrorKind::StaleId);
                assert_eq!(interner.release(symbol).unwrap_err().kind(), ErrorKind::StaleId);
                assert_eq!(interner.lookup(&string), None);
            }
            known => assert_eq!(interner.lookup(&string), known),
        }
        if round == growth_at {
            interner = interner.with_counts();
        }
        assert_eq!(interner.len(), model.len() as u64);
    }
    let all: HashMap<String, Symbol> =
        interner.iter().map(|(symbol, string)| (string.to_owned(), symbol)).collect();
    assert_eq!(all, model);
    let frozen = interner.freeze();
    for (string, symbol) in model {
        assert_eq!(
            (frozen.resolve(symbol).unwrap(), frozen.lookup(&string)),
            (&*string, Some(symbol))
        );
    }
}

#[test]
fn strings_come_and_go_at_random() {
    churn(Interner::new().unwrap(), 20_000, u32::MAX);
    churn(Interner::new().unwrap(), 12_000, 8_003);
    churn(Interner::counted().unwrap(), 12_000, u32::MAX);
    let small = Growth::default().first_slots(1).factor(1.1).slab_len_max(100);
    churn(Interner::with_growth(small).unwrap(), 12_000, 5_001);
}

#[test]
fn a_released_string_is_gone_at_once() {
    for released in [1, 3, 16, 17, 40] {
        let mut interner = Interner::<str>::counted().unwrap();
        let words: Vec<String> = (0..60).map(word).collect();
        let symbols: Vec<Symbol> =
            words.iter().map(|word| interner.intern(word).unwrap()).collect();
        assert_eq!(interner.release_many(symbols[..released].to_vec()).unwrap(), released as u64);
        for (at, (word, symbol)) in words.iter().zip(&symbols).enumerate() {
            let expected = (released <= at).then_some(*symbol);
            assert_eq!(interner.lookup(word), expected, "{at} of {released}");
            assert_eq!(interner.resolve(*symbol).ok(), expected.map(|_| &**word));
            assert_eq!(interner.ref_count(*symbol).ok(), expected.map(|_| 1));
        }
        let (left, stats) = (60 - released as u64, interner.stats());
        assert_eq!((interner.len(), stats.live), (left, left));
        assert_eq!(stats.pools.iter().map(|pool| pool.live).sum::<u64>(), left);
        let payload: usize = words[released..].iter().map(String::len).sum();
        assert_eq!(stats.payload, payload as u64);
        let mixed = [symbols[released], symbols[0], symbols[59]];
        assert_eq!(interner.release_many(mixed).unwrap_err().kind(), ErrorKind::StaleId);
        assert_eq!(interner.lookup(&words[released]), None, "those before are released");
        assert_eq!(interner.lookup(&words[59]), Some(symbols[59]), "those behind are not");
        for word in &words {
            let symbol = interner.intern(word).unwrap();
            assert_eq!(interner.resolve(symbol).unwrap(), word);
        }
        assert_eq!((interner.len(), interner.iter().count()), (60, 60));
        interner.release(interner.lookup(&words[5]).unwrap()).unwrap();
        interner.clear();
        assert_eq!((interner.len(), interner.lookup(&words[7])), (0, None));
        assert_eq!(interner.intern(&words[5]).unwrap().to_bits(), 1);
    }
}

#[test]
fn strings_that_look_alike_differ() {
    let long = "z".repeat(64 << 10);
    let mut strings: Vec<String> =
        ["", "\0", "\0\0", "a", "a\0", "\0a", "a\0\0", "a\0a"].map(str::to_owned).to_vec();
    for len in [7, 8, 15, 16, 17, 31, 32, 33, 255, 256, 257, 65_535, 65_536] {
        strings.push(long[..len].to_owned());
        strings.push(long[1..len].to_owned() + "y");
        strings.push("y".to_owned() + &long[1..len]);
    }
    let mut interner = Interner::<str>::new().unwrap();
    let mut counted = Interner::<str>::counted().unwrap();
    let shared = ConcurrentInterner::<str>::new();
    let symbols: Vec<[Symbol; 3]> = strings
        .iter()
        .map(|string| {
            let shared = shared.intern(string).unwrap();
            [interner.intern(string).unwrap(), counted.intern(string).unwrap(), shared]
        })
        .collect();
    assert_eq!((interner.len(), shared.len()), (strings.len() as u64, strings.len() as u64));
    for (string, [plain, held, other]) in strings.iter().zip(symbols) {
        assert_eq!(
            (interner.resolve(plain).unwrap(), interner.lookup(string)),
            (&**string, Some(plain))
        );
        assert_eq!(
            (counted.resolve(held).unwrap(), counted.lookup(string)),
            (&**string, Some(held))
        );
        assert_eq!(
            (shared.resolve(other).unwrap(), shared.lookup(string)),
            (&**string, Some(other))
        );
        assert_eq!(counted.release(held).unwrap(), 0);
        assert_eq!(counted.lookup(string), None);
    }
    assert!(counted.is_empty());
}

#[test]
fn many_at_once_are_as_one_by_one() {
    let words: Vec<String> = (0..60_000).map(|at| word(at * 7 % 50_000)).collect();
    let mut many = Interner::<str>::counted().unwrap();
    let mut single = Interner::<str>::counted().unwrap();
    let symbols = many.intern_many(words.iter().map(String::as_str)).unwrap();
    let others: Vec<Symbol> = words.iter().map(|word| single.intern(word).unwrap()).collect();
    assert_eq!(symbols, others);
    assert_eq!(many.release_many(symbols[..40_000].iter().copied()).unwrap(), 30_000);
    let forgotten = others[..40_000].iter().filter(|symbol| single.release(**symbol).unwrap() == 0);
    assert_eq!(forgotten.count(), 30_000);
    let mut left: Vec<(Symbol, &str)> = many.iter().collect();
    let mut left_single: Vec<(Symbol, &str)> = single.iter().collect();
    left.sort_unstable();
    left_single.sort_unstable();
    assert_eq!(left, left_single);
}

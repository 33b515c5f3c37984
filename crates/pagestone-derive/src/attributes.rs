//! What the attributes of a struct and of its fields say.

use proc_macro2::Span;
use syn::{
    Attribute, Error, Ident, LitInt, Path, Result, Token, parenthesized, parse::ParseStream,
    punctuated::Punctuated, spanned::Spanned as _,
};

/// How the rows of a table are found by a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Canonical,
    CanonicalUnique,
    Unique,
    Multi,
}

/// One `#[index(…)]`.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) span: Span,
    pub(crate) order: Order,
    /// The name and the fields of a composite key.
    pub(crate) composite: Option<(Ident, Vec<Ident>)>,
}

/// What `#[repr(…)]` says, as far as it counts here.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Repr {
    pub(crate) is_c: bool,
    pub(crate) is_transparent: bool,
    pub(crate) is_packed: bool,
}

/// The indexes that `attributes` name.
pub(crate) fn indexes(attributes: &[Attribute]) -> Result<Vec<Index>> {
    let named = attributes.iter().filter(|attribute| attribute.path().is_ident("index"));
    named
        .map(|attribute| {
            attribute.parse_args_with(|input: ParseStream<'_>| index(input, attribute.span()))
        })
        .collect()
}

fn index(input: ParseStream<'_>, span: Span) -> Result<Index> {
    let (mut canonical, mut unique, mut multi) = (false, false, false);
    let mut composite = None;
    while !input.is_empty() {
        let word: Ident = input.parse()?;
        if input.peek(syn::token::Paren) {
            let inside;
            parenthesized!(inside in input);
            let fields = Punctuated::<Ident, Token![,]>::parse_terminated(&inside)?;
            if composite.replace((word, fields.into_iter().collect())).is_some() {
                return Err(Error::new(span, "one composite key for each `#[index]`"));
            }
        } else {
            match word.to_string().as_str() {
                "canonical" => canonical = true,
                "unique" => unique = true,
                "multi" => multi = true,
                _ => {
                    let what = "expected `canonical`, `unique`, `multi` or `name(field, field)`";
                    return Err(Error::new(word.span(), what));
                }
            }
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    let order = match (canonical, unique, multi) {
        (true, false, _) => Order::Canonical,
        (true, true, false) => Order::CanonicalUnique,
        (false, true, false) => Order::Unique,
        (false, false, true) => Order::Multi,
        (_, true, true) => {
            return Err(Error::new(span, "an index is `unique` or `multi`, not both"));
        }
        (false, false, false) => {
            return Err(Error::new(span, "say `canonical`, `unique` or `multi`"));
        }
    };
    Ok(Index { span, order, composite })
}

/// The version of the schema that a field was added in.
pub(crate) fn since(attributes: &[Attribute]) -> Result<u32> {
    let mut since = 1;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("record")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("since") {
                return Err(meta.error("expected `since = N`"));
            }
            let number: LitInt = meta.value()?.parse()?;
            since = number.base10_parse()?;
            if since < 2 {
                return Err(Error::new(number.span(), "fields are there since 1: say 2 or more"));
            }
            Ok(())
        })?;
    }
    Ok(since)
}

/// Where the traits are found; `#[record(crate = path)]` says so where it is not the usual name.
pub(crate) fn home(attributes: &[Attribute]) -> Result<Path> {
    let mut home: Path = syn::parse_quote!(::pagestone_index);
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("record")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("expected `crate = path`"));
            }
            home = meta.value()?.call(Path::parse_mod_style)?;
            Ok(())
        })?;
    }
    Ok(home)
}

/// The representation that the compiler is asked for.
pub(crate) fn repr(attributes: &[Attribute]) -> Result<Repr> {
    let mut repr = Repr::default();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        attribute.parse_nested_meta(|meta| {
            repr.is_c |= meta.path.is_ident("C");
            repr.is_transparent |= meta.path.is_ident("transparent");
            repr.is_packed |= meta.path.is_ident("packed");
            if meta.input.peek(syn::token::Paren) {
                let inside;
                parenthesized!(inside in meta.input);
                inside.parse::<proc_macro2::TokenStream>()?;
            }
            Ok(())
        })?;
    }
    Ok(repr)
}

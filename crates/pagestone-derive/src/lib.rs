//! `#[derive(Record)]`: a `#[repr(C)]` struct of fixed-width fields as a row of a table.
#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod attributes; // what `#[index]`, `#[record]` and `#[repr]` say
mod expand; // the code that is written
mod unsuited; // types that are refused by their looks, with what to do instead

use proc_macro::TokenStream;

/// Makes a struct a row of a table: its fields' offsets and kinds, its keys and its fingerprint
/// as constants, and how it is read from bytes and written to them.
///
/// A struct with named fields becomes a row (`Record`) and may be a field of another one. A tuple
/// struct of one field becomes a field of its own type (a newtype). See the documentation of
/// `pagestone-index` for the attributes.
#[proc_macro_derive(Record, attributes(index, record))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::record(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

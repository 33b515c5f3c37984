//! Types that cannot be fields, known by their looks, and what to use in their place.

use syn::{Error, GenericArgument, PathArguments, Result, Type};

/// Errors for types that are never fields of a record. What looks fine here and is not is
/// refused by the bound on `Column`.
pub(crate) fn check(ty: &Type) -> Result<()> {
    let what = match ty {
        Type::Reference(_) => "a reference is an address, no bytes: keep an id, or `[u8; N]`",
        Type::Ptr(_) | Type::BareFn(_) => "an address means nothing in a file: keep an id",
        Type::Slice(_) | Type::TraitObject(_) => "its length is not fixed: use `[u8; N]`",
        Type::Tuple(_) => "the layout of a tuple is not fixed: name its parts as fields",
        Type::Array(array) if !is_named(&array.elem, "u8") => {
            "an array is of `u8`: name the elements as fields, or keep their bytes"
        }
        Type::Path(_) => return check_path(ty),
        _ => return Ok(()),
    };
    Err(Error::new_spanned(ty, what))
}

fn check_path(ty: &Type) -> Result<()> {
    let what = match last_name(ty).as_str() {
        "usize" => "`usize` has another width on other machines: use `u64` or `u32`",
        "isize" => "`isize` has another width on other machines: use `i64` or `i32`",
        "bool" => "not every byte is a `bool`: use `u8`",
        "char" => "not every number is a `char`: use `u32`",
        "String" | "Vec" | "Box" | "Rc" | "Arc" | "Cow" => {
            "its bytes lie elsewhere: use `[u8; N]`, or keep an id"
        }
        "Option" => "`Option` has no fixed layout: keep a number that stands for none",
        _ => return Ok(()),
    };
    Err(Error::new_spanned(ty, what))
}

fn is_named(ty: &Type, name: &str) -> bool {
    last_name(ty) == name
}

fn last_name(ty: &Type) -> String {
    let Type::Path(path) = ty else { return String::new() };
    let Some(last) = path.path.segments.last() else { return String::new() };
    // `Wrapping<u8>` and the like are named by what they are, not by what they hold.
    let holds_types = match &last.arguments {
        PathArguments::AngleBracketed(inside) => {
            inside.args.iter().any(|argument| matches!(argument, GenericArgument::Type(_)))
        }
        _ => false,
    };
    if holds_types && !["Option", "Vec", "Box", "Rc", "Arc", "Cow"].iter().any(|n| last.ident == n)
    {
        return String::new();
    }
    last.ident.to_string()
}

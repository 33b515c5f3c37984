//! The code that a derive writes.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Data, DeriveInput, Error, Field, Fields, Ident, Path, Result, Type, ext::IdentExt as _,
    spanned::Spanned as _,
};

use crate::{
    attributes::{self, Index, Order, Repr},
    unsuited,
};

/// A key and the fields that it consists of.
struct Key<'a> {
    name: Ident,
    order: Order,
    fields: Vec<&'a Field>,
}

/// The implementations for `input`, or what is wrong with it.
pub(crate) fn record(input: &DeriveInput) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        let what = "a record has one layout: no type, lifetime or const parameters";
        return Err(Error::new_spanned(&input.generics, what));
    }
    let fields = match &input.data {
        Data::Struct(of_struct) => &of_struct.fields,
        Data::Enum(_) => {
            let what = "not every number is a variant: keep the number in a field, `u8` for \
                        one, and convert with `TryFrom`";
            return Err(Error::new_spanned(&input.ident, what));
        }
        Data::Union(_) => {
            let what = "which field of a union counts is not known: use a struct";
            return Err(Error::new_spanned(&input.ident, what));
        }
    };
    fields.iter().try_for_each(|field| unsuited::check(&field.ty))?;
    let home = attributes::home(&input.attrs)?;
    let repr = attributes::repr(&input.attrs)?;
    match fields {
        Fields::Named(named) if !named.named.is_empty() => {
            check_repr(input, repr.is_c, "add `#[repr(C)]`: it fixes the order of the fields")?;
            let fields: Vec<&Field> = named.named.iter().collect();
            row(input, &fields, (&home, repr))
        }
        Fields::Unnamed(unnamed) if unnamed.unnamed.len() == 1 => {
            let is_fixed = repr.is_c || repr.is_transparent;
            check_repr(input, is_fixed, "add `#[repr(transparent)]`")?;
            let [field] = unnamed.unnamed.iter().collect::<Vec<_>>()[..] else {
                return Err(Error::new_spanned(&input.ident, "one field"));
            };
            newtype(input, field, (&home, repr))
        }
        Fields::Unnamed(_) => {
            let what = "name the fields: they are found by name when the struct changes";
            Err(Error::new_spanned(&input.ident, what))
        }
        _ => Err(Error::new_spanned(&input.ident, "a record has at least one field")),
    }
}

fn check_repr(input: &DeriveInput, is_fixed: bool, what: &str) -> Result<()> {
    if is_fixed { Ok(()) } else { Err(Error::new_spanned(&input.ident, what)) }
}

/// A struct whose only field it is for the file.
fn newtype(input: &DeriveInput, field: &Field, (home, repr): (&Path, Repr)) -> Result<TokenStream> {
    no_indexes(attributes::indexes(&input.attrs)?.first(), "index the fields of this type")?;
    no_indexes(attributes::indexes(&field.attrs)?.first(), "index the fields of this type")?;
    let (name, ty) = (&input.ident, &field.ty);
    let size = size_check(name, home, repr);
    Ok(quote! {
        #size
        #[automatically_derived]
        impl #home::Column for #name {
            const SIZE: usize = <#ty as #home::Column>::SIZE;
            const SHAPE: #home::Shape = <#ty as #home::Column>::SHAPE;
            #[inline]
            fn read(bytes: &[u8]) -> Self {
                Self(<#ty as #home::Column>::read(bytes))
            }
            #[inline]
            fn write(&self, into: &mut [u8]) {
                <#ty as #home::Column>::write(&self.0, into);
            }
        }
        #[automatically_derived]
        impl #home::KeyColumn for #name where #ty: #home::KeyColumn {
            type Key = <#ty as #home::KeyColumn>::Key;
        }
    })
}

fn no_indexes(found: Option<&Index>, what: &str) -> Result<()> {
    found.map_or(Ok(()), |index| Err(Error::new(index.span, what)))
}

/// A struct with named fields.
fn row(input: &DeriveInput, fields: &[&Field], (home, repr): (&Path, Repr)) -> Result<TokenStream> {
    let name = &input.ident;
    let keys = keys(input, fields)?;
    let size = size_check(name, home, repr);
    let column = column(name, fields, (home, repr))?;
    let definitions = keys.iter().map(|key| definition(key, home));
    let constants =
        keys.iter().enumerate().map(|(number, key)| constant((input, key), number, home));
    Ok(quote! {
        #size
        #column
        #[automatically_derived]
        impl #home::Record for #name {
            const NAME: &'static str = stringify!(#name);
            const FIELDS: &'static [#home::FieldDef] = <Self as #home::Column>::SHAPE.fields();
            const KEYS: &'static [#home::KeyDef] = &[#(#definitions),*];
        }
        // What is wrong with the keys is found here.
        const _: u64 = <#name as #home::Record>::FINGERPRINT;
        #[automatically_derived]
        impl #name {
            #(#constants)*
        }
    })
}

fn column(name: &Ident, fields: &[&Field], (home, repr): (&Path, Repr)) -> Result<TokenStream> {
    let (mut shapes, mut reads, mut writes) = (Vec::new(), Vec::new(), Vec::new());
    for field in fields {
        let (ident, ty) = (&field.ident, &field.ty);
        let text = ident.as_ref().map(|ident| ident.unraw().to_string());
        let since = attributes::since(&field.attrs)?;
        shapes.push(quote! {
            #home::FieldDef {
                name: #text,
                offset: ::core::mem::offset_of!(#name, #ident),
                shape: <#ty as #home::Column>::SHAPE,
                since: #since,
            }
        });
        let place = quote! {
            ::core::mem::offset_of!(#name, #ident)
                ..::core::mem::offset_of!(#name, #ident) + <#ty as #home::Column>::SIZE
        };
        reads.push(quote!(#ident: <#ty as #home::Column>::read(&bytes[#place])));
        // A reference to a field of a packed struct would not be aligned.
        let value = if repr.is_packed { quote!(&{ self.#ident }) } else { quote!(&self.#ident) };
        writes.push(quote!(<#ty as #home::Column>::write(#value, &mut into[#place]);));
    }
    let types = fields.iter().map(|field| &field.ty);
    Ok(quote! {
        #[automatically_derived]
        impl #home::Column for #name {
            const SIZE: usize = 0 #(+ <#types as #home::Column>::SIZE)*;
            const SHAPE: #home::Shape = #home::Shape::Nested(&[#(#shapes),*]);
            #[inline]
            fn read(bytes: &[u8]) -> Self {
                let bytes = &bytes[..<Self as #home::Column>::SIZE];
                Self { #(#reads),* }
            }
            #[inline]
            fn write(&self, into: &mut [u8]) {
                let into = &mut into[..<Self as #home::Column>::SIZE];
                #(#writes)*
            }
        }
    })
}

/// A compile error where the struct has bytes that belong to no field.
fn size_check(name: &Ident, home: &Path, repr: Repr) -> TokenStream {
    let text = format!(
        "`{name}` has padding, bytes that belong to no field: sort the fields by width, widest \
         first, add a `[u8; N]` field where the gap is, or use numbers of alignment 1"
    );
    // A packed struct has none, whatever its fields are.
    if repr.is_packed {
        return TokenStream::new();
    }
    quote! {
        const _: () = assert!(
            ::core::mem::size_of::<#name>() == <#name as #home::Column>::SIZE,
            #text
        );
    }
}

/// The keys of a struct: of its fields in their order, then composite ones.
fn keys<'a>(input: &DeriveInput, fields: &[&'a Field]) -> Result<Vec<Key<'a>>> {
    let mut keys: Vec<Key<'a>> = Vec::new();
    let mut canonical = None;
    let mut add = |key: Key<'a>, index: &Index| {
        if keys.iter().any(|other| other.name.unraw() == key.name.unraw()) {
            return Err(Error::new(index.span, format!("two indexes are named `{}`", key.name)));
        }
        let is_canonical = matches!(key.order, Order::Canonical | Order::CanonicalUnique);
        if is_canonical && canonical.replace(()).is_some() {
            let what = "rows lie in one order: one index is `canonical`";
            return Err(Error::new(index.span, what));
        }
        keys.push(key);
        Ok(())
    };
    for &field in fields {
        for index in attributes::indexes(&field.attrs)? {
            let Some(name) = &field.ident else { continue };
            if index.composite.is_some() {
                let what = "a key of several fields is named at the struct";
                return Err(Error::new(index.span, what));
            }
            add(Key { name: name.clone(), order: index.order, fields: vec![field] }, &index)?;
        }
    }
    for index in attributes::indexes(&input.attrs)? {
        let Some((name, parts)) = &index.composite else {
            let what = "an index of the struct names its fields: `#[index(unique, name(a, b))]`";
            return Err(Error::new(index.span, what));
        };
        if !(1..=4).contains(&parts.len()) {
            return Err(Error::new(index.span, "a key has one to four fields"));
        }
        let found: Result<Vec<&Field>> = parts.iter().map(|part| named(fields, part)).collect();
        add(Key { name: name.clone(), order: index.order, fields: found? }, &index)?;
    }
    Ok(keys)
}

fn named<'a>(fields: &[&'a Field], name: &Ident) -> Result<&'a Field> {
    let found = fields.iter().find(|field| field.ident.as_ref() == Some(name));
    found.copied().ok_or_else(|| Error::new(name.span(), "no such field"))
}

/// A key as the schema knows it.
fn definition(key: &Key<'_>, home: &Path) -> TokenStream {
    let name = key.name.unraw().to_string();
    let order = format_ident!("{}", format!("{:?}", key.order));
    let fields = key.fields.iter().filter_map(|field| field.ident.as_ref());
    let fields = fields.map(|ident| ident.unraw().to_string());
    quote! {
        #home::KeyDef { name: #name, order: #home::KeyOrder::#order, fields: &[#(#fields),*] }
    }
}

/// What lookups by a field of this type take; errors point at the field.
fn key_of(ty: &Type, home: &Path) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as #home::KeyColumn>::Key)
}

/// The constant that names a key in lookups.
fn constant((input, key): (&DeriveInput, &Key<'_>), number: usize, home: &Path) -> TokenStream {
    let (owner, visibility) = (&input.ident, &input.vis);
    let name = Ident::new(&key.name.unraw().to_string().to_uppercase(), key.name.span());
    let types: Vec<&Type> = key.fields.iter().map(|field| &field.ty).collect();
    let value = match types.as_slice() {
        [ty] => key_of(ty, home),
        types => {
            let keys = types.iter().map(|ty| key_of(ty, home));
            quote!((#(#keys),*))
        }
    };
    let doc = format!("Rows by `{}`.", key.name.unraw());
    quote! {
        #[doc = #doc]
        #visibility const #name: #home::Key<#owner, #value> = #home::Key::new(#number);
    }
}

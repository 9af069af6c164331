//! Items: what code elsewhere can refer to.

use std::{fmt, ops::Range};

use super::{Contents, File, FileId, Symbol};

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Module,
    /// Not inside a type.
    Function,
    /// A function inside a type, an impl or a trait.
    Method,
    Struct,
    Union,
    Enum,
    /// What Python and JavaScript call so.
    Class,
    Trait,
    /// What TypeScript and Go call so.
    Interface,
    /// Has the name of the type that it is for.
    Impl,
    /// An alias or an associated type.
    Type,
    Const,
    /// A static, or a variable of a module.
    Static,
    Field,
    Variant,
    Macro,
}

impl Kind {
    /// Every kind with its name in queries and in output.
    pub const NAMES: [(&'static str, Self); 16] = [
        ("module", Self::Module),
        ("function", Self::Function),
        ("method", Self::Method),
        ("struct", Self::Struct),
        ("union", Self::Union),
        ("enum", Self::Enum),
        ("class", Self::Class),
        ("trait", Self::Trait),
        ("interface", Self::Interface),
        ("impl", Self::Impl),
        ("type", Self::Type),
        ("const", Self::Const),
        ("static", Self::Static),
        ("field", Self::Field),
        ("variant", Self::Variant),
        ("macro", Self::Macro),
    ];

    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// Whether values can be of it: a struct, union, enum, class, trait, interface or alias.
    pub const fn is_type(self) -> bool {
        matches!(
            self,
            Self::Struct
                | Self::Union
                | Self::Enum
                | Self::Class
                | Self::Trait
                | Self::Interface
                | Self::Type
        )
    }

    /// Whether functions inside of it are methods.
    pub(super) const fn has_methods(self) -> bool {
        self.is_type() || matches!(self, Self::Impl)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, kind)| kind == self).map(|(name, _)| *name);
        f.write_str(name.unwrap_or_default())
    }
}

/// From where an item may be referred to, as its own declaration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Visibility {
    /// From its own module.
    Private,
    /// From a part of its own package: `pub(crate)` and the like.
    Package,
    /// From everywhere. What inherits is this: variants, members of a trait and of its impls.
    Public,
}

/// A part of a [`File`]'s texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) len: u16,
}

/// An item as it is kept.
#[derive(Debug, Clone)]
pub(super) struct ItemData {
    pub(super) name: Symbol,
    pub(super) kind: Kind,
    pub(super) visibility: Visibility,
    pub(super) is_test: bool,
    /// Its place in [`File::items`].
    pub(super) parent: Option<u32>,
    pub(super) target: Option<Symbol>,
    pub(super) trait_name: Option<Symbol>,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) first_line: u32,
    pub(super) last_line: u32,
    pub(super) signature: Span,
    pub(super) ty: Span,
    pub(super) doc: Span,
}

/// Where an item is: valid as long as the [`super::View`] it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemRef {
    pub file: FileId,
    /// Its place among the items of the file, which stand in the file's order, members behind what
    /// they are members of.
    pub index: u32,
}

/// An item of the workspace, or a public one of a dependency.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    pub(super) contents: &'a Contents,
    pub(super) file: &'a File,
    pub(super) data: &'a ItemData,
    pub(super) place: ItemRef,
}

impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.path())
    }
}

impl<'a> Item<'a> {
    pub fn place(&self) -> ItemRef {
        self.place
    }

    pub fn file(&self) -> &'a File {
        self.file
    }

    pub fn kind(&self) -> Kind {
        self.data.kind
    }

    pub fn visibility(&self) -> Visibility {
        self.data.visibility
    }

    /// Whether it is compiled for tests alone, as far as its attributes and those around it say.
    pub fn is_test(&self) -> bool {
        self.data.is_test
    }

    pub fn symbol(&self) -> Symbol {
        self.data.name
    }

    pub fn name(&self) -> &'a str {
        self.contents.name(self.data.name)
    }

    /// The names that lead to it, from its package on, with the language's separator.
    pub fn path(&self) -> String {
        let separator = self.file.separator();
        let mut names = vec![self.name()];
        let mut parent = self.parent();
        while let Some(item) = parent {
            names.push(item.name());
            parent = item.parent();
        }
        names.push(self.file.module());
        names.retain(|name| !name.is_empty());
        names.reverse();
        names.join(separator)
    }

    /// The module it stands in, from its package on, with the language's separator.
    pub fn module(&self) -> String {
        let mut names = vec![self.file.module()];
        let mut inner = Vec::new();
        let mut parent = self.parent();
        while let Some(item) = parent {
            if item.kind() == Kind::Module {
                inner.push(item.name());
            }
            parent = item.parent();
        }
        names.extend(inner.into_iter().rev());
        names.retain(|name| !name.is_empty());
        names.join(self.file.separator())
    }

    /// On one line, without attributes, comments, body, members or a long value.
    pub fn signature(&self) -> &'a str {
        self.file.text(self.data.signature)
    }

    /// The type it returns, holds or stands for, as written; empty where none is.
    pub fn ty(&self) -> &'a str {
        self.file.text(self.data.ty)
    }

    /// The first line of its documentation; empty where there is none.
    pub fn doc(&self) -> &'a str {
        self.file.text(self.data.doc)
    }

    /// The last name of the type that an impl is for, or of the receiver of a method that stands
    /// outside of its type.
    pub fn target(&self) -> Option<Symbol> {
        self.data.target
    }

    /// The last name of the trait of an impl, or of the first of what a class extends.
    pub fn trait_name(&self) -> Option<Symbol> {
        self.data.trait_name
    }

    /// What it is a member of: an impl, a trait, a type, an inline module.
    pub fn parent(&self) -> Option<Item<'a>> {
        self.contents.item(ItemRef { file: self.place.file, index: self.data.parent? })
    }

    /// The type that it is a member of, in an impl or directly.
    pub fn owner(&self) -> Option<Symbol> {
        match self.parent() {
            Some(parent) if parent.kind() == Kind::Impl => parent.target(),
            Some(parent) if parent.kind().is_type() => Some(parent.symbol()),
            _ if self.data.kind == Kind::Method => self.data.target,
            _ => None,
        }
    }

    /// Its direct members, in the order of the file: fields, variants, methods, items of a module.
    pub fn members(&self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let (contents, place) = (self.contents, self.place);
        self.file
            .members(place.index)
            .map(move |index| ItemRef { file: place.file, index })
            .filter_map(move |member| contents.item(member))
    }

    /// Where it stands in its file, without its comments and attributes, in bytes.
    pub fn range(&self) -> Range<usize> {
        self.data.start as usize..self.data.end as usize
    }

    /// The lines of [`Item::range`], counted from 0, without the one behind the last.
    pub fn lines(&self) -> Range<usize> {
        self.data.first_line as usize..self.data.last_line as usize + 1
    }
}

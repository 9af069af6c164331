//! Which types the expressions of a function may have, as far as the text says: annotations,
//! constructors, `self`, fields, what methods return.
//!
//! An answer is the list of the workspace's types that the written type names, outermost first. So
//! nothing has to be unwrapped: of `Result<Vec<Frame>, Error>` it is `Frame` and `Error`, before
//! `?`, `.await`, `.iter()` or a pattern as well as behind. A method that the index does not know is
//! taken to pass its receiver on. Wrong guesses cost a few tokens, so there is no checking.
//!
//! Reads trees of Rust; of another language's it finds nothing.

use std::cell::Cell;

use rustc_hash::FxHashMap;
use tree_sitter::Node;

use crate::index::{Contents, Item, Kind, Symbol};

/// Types that one expression may name.
const MAX_TYPES: usize = 4;

/// Steps of one inference: chains of calls are shorter, and a file may contain anything.
const MAX_STEPS: usize = 400;

/// Items of one name that are looked at: a name with more says nothing.
const MAX_NAMESAKES: usize = 64;

/// The workspace's types in an expression, outermost first.
pub(super) type Types = Vec<Symbol>;

/// A name that a function binds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding<'tree, 'a> {
    pub(super) name: &'a str,
    /// From where on it is bound, in bytes.
    pub(super) from: usize,
    source: Source<'tree>,
}

#[derive(Debug, Clone, Copy)]
enum Source<'tree> {
    /// A type that is written.
    Type(Node<'tree>),
    /// An expression that is bound, or taken apart.
    Value(Node<'tree>),
}

impl Binding<'_, '_> {
    /// Whether its type is written: a parameter, mostly.
    pub(super) fn is_parameter(&self) -> bool {
        matches!(self.source, Source::Type(node) if node.parent().is_some_and(|it| it.kind() == "parameter"))
    }
}

/// Inference within one function.
#[derive(Debug)]
pub(super) struct Inference<'tree, 'a> {
    contents: &'a Contents,
    text: &'a str,
    /// The type that `self` is of.
    pub(super) self_type: Option<Symbol>,
    /// In the order of the text.
    pub(super) bindings: Vec<Binding<'tree, 'a>>,
    /// What the type parameters are bound by.
    bounds: FxHashMap<&'a str, Node<'tree>>,
    steps: Cell<usize>,
}

impl<'tree, 'a> Inference<'tree, 'a> {
    /// Collects what is bound around byte `offset`, in the functions and impls around it.
    pub(super) fn at(
        contents: &'a Contents,
        text: &'a str,
        around: Option<Node<'tree>>,
        offset: usize,
    ) -> Self {
        let mut this = Self {
            contents,
            text,
            self_type: None,
            bindings: Vec::new(),
            bounds: FxHashMap::default(),
            steps: Cell::new(0),
        };
        let mut node = around;
        let mut outermost = None;
        while let Some(around) = node {
            match around.kind() {
                "function_item" | "closure_expression" => outermost = Some(around),
                "impl_item" | "trait_item" if this.self_type.is_none() => {
                    let field = if around.kind() == "impl_item" { "type" } else { "name" };
                    let own = around.child_by_field_name(field);
                    this.self_type = own.and_then(|own| this.types_in(own).first().copied());
                }
                _ => {}
            }
            if let Some(parameters) = around.child_by_field_name("type_parameters") {
                this.bound_in(parameters);
            }
            let mut cursor = around.walk();
            let children = around.children(&mut cursor);
            for clause in children.filter(|child| child.kind() == "where_clause") {
                this.bound_in(clause);
            }
            node = around.parent();
        }
        if let Some(function) = outermost {
            this.bind_in(function, offset, 0);
            this.bindings.sort_by_key(|binding| binding.from);
        }
        this
    }

    /// The types that a binding may name.
    pub(super) fn of_binding(&self, binding: &Binding<'tree, 'a>) -> Types {
        self.steps.set(0);
        self.of_source(binding.source)
    }

    /// The types that an expression may have.
    pub(super) fn of_expression(&self, expression: Node<'tree>) -> Types {
        self.steps.set(0);
        self.of_value(expression)
    }

    /// The workspace's types that a written type names.
    pub(super) fn types_in(&self, written: Node<'tree>) -> Types {
        let mut types = Types::new();
        self.add_types_in(written, &mut types, 0);
        types
    }

    /// The workspace's types that the text of a type names, where `owner` is `Self`.
    pub(super) fn types_of(&self, written: &str, owner: Option<Symbol>) -> Types {
        let mut types = Types::new();
        let words = written.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        for word in words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase())) {
            let found = if word == "Self" { owner } else { self.type_named(word) };
            add(&mut types, found);
        }
        types
    }

    /// The member called `name` of the type `owner`.
    pub(super) fn member(&self, owner: Symbol, name: &str) -> Option<Item<'a>> {
        let symbol = self.contents.symbol(name)?;
        let mut namesakes = self.contents.definitions(symbol).take(MAX_NAMESAKES);
        namesakes.find(|item| item.owner() == Some(owner))
    }

    fn of_source(&self, source: Source<'tree>) -> Types {
        match source {
            Source::Type(written) => self.types_in(written),
            Source::Value(value) => self.of_value(value),
        }
    }

    fn of_value(&self, value: Node<'tree>) -> Types {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps > MAX_STEPS {
            return Types::new();
        }
        match value.kind() {
            "self" => self.self_type.into_iter().collect(),
            "identifier" => self.of_name(value),
            "field_expression" => self.of_field(value),
            "call_expression" => self.of_call(value),
            "scoped_identifier" => self.of_path(value),
            "struct_expression" => value
                .child_by_field_name("name")
                .map(|name| self.types_in(name))
                .unwrap_or_default(),
            "type_cast_expression" => {
                value.child_by_field_name("type").map(|ty| self.types_in(ty)).unwrap_or_default()
            }
            "generic_function" => {
                let function = value.child_by_field_name("function");
                function.map(|function| self.of_value(function)).unwrap_or_default()
            }
            "index_expression"
            | "try_expression"
            | "await_expression"
            | "reference_expression"
            | "parenthesized_expression"
            | "unary_expression"
            | "mut_pattern"
            | "return_expression"
            | "expression_statement" => self.of_first(value),
            "block" | "unsafe_block" | "async_block" => {
                let last = value.named_child_count().checked_sub(1);
                let last = last.and_then(|last| value.named_child(u32::try_from(last).ok()?));
                last.map(|last| self.of_value(last)).unwrap_or_default()
            }
            "if_expression" => {
                let consequence = value.child_by_field_name("consequence");
                consequence.map(|block| self.of_value(block)).unwrap_or_default()
            }
            "match_expression" => {
                let arms = value.child_by_field_name("body");
                let arm = arms.and_then(|arms| arms.named_child(0));
                let value = arm.and_then(|arm| arm.child_by_field_name("value"));
                value.map(|value| self.of_value(value)).unwrap_or_default()
            }
            "tuple_expression" | "array_expression" => {
                let mut types = Types::new();
                for part in value.named_children(&mut value.walk()) {
                    for found in self.of_value(part) {
                        add(&mut types, Some(found));
                    }
                }
                types
            }
            _ => Types::new(),
        }
    }

    fn of_first(&self, value: Node<'tree>) -> Types {
        let inner = value.named_children(&mut value.walk()).find(|child| {
            !matches!(
                child.kind(),
                "mutable_specifier" | "line_comment" | "block_comment" | "label"
            )
        });
        inner.map(|inner| self.of_value(inner)).unwrap_or_default()
    }

    fn of_name(&self, name: Node<'tree>) -> Types {
        let text = self.slice(name);
        let bound = self.bindings.iter().rev();
        let mut bound = bound.filter(|it| it.name == text && it.from <= name.start_byte());
        if let Some(binding) = bound.next() {
            return self.of_source(binding.source);
        }
        self.of_item(text, None)
    }

    /// What a constant or static holds, a function returns or a constructor makes.
    fn of_item(&self, name: &str, owner: Option<Symbol>) -> Types {
        let Some(symbol) = self.contents.symbol(name) else { return Types::new() };
        let mut namesakes = self.contents.definitions(symbol).take(MAX_NAMESAKES);
        let item = match owner {
            Some(owner) => namesakes.find(|item| item.owner() == Some(owner)),
            None => namesakes.find(|item| item.owner().is_none()),
        };
        match item {
            Some(item) if item.kind().is_type() => vec![symbol],
            Some(item) if item.kind() == Kind::Variant => owner.into_iter().collect(),
            Some(item) => self.types_of(item.ty(), owner),
            None => Types::new(),
        }
    }

    fn of_field(&self, expression: Node<'tree>) -> Types {
        let (Some(value), Some(field)) =
            (expression.child_by_field_name("value"), expression.child_by_field_name("field"))
        else {
            return Types::new();
        };
        let owners = self.of_value(value);
        let field = self.slice(field);
        if field.starts_with(|c: char| c.is_ascii_digit()) || field == "await" {
            return owners;
        }
        let member = owners.iter().find_map(|owner| Some((*owner, self.member(*owner, field)?)));
        member.map(|(owner, member)| self.types_of(member.ty(), Some(owner))).unwrap_or_default()
    }

    fn of_call(&self, call: Node<'tree>) -> Types {
        let Some(function) = call.child_by_field_name("function") else { return Types::new() };
        let function = match function.kind() {
            "generic_function" => function.child_by_field_name("function").unwrap_or(function),
            _ => function,
        };
        if function.kind() != "field_expression" {
            return self.of_value(function);
        }
        let (Some(value), Some(method)) =
            (function.child_by_field_name("value"), function.child_by_field_name("field"))
        else {
            return Types::new();
        };
        let owners = self.of_value(value);
        let method = self.slice(method);
        for owner in &owners {
            if let Some(member) = self.member(*owner, method) {
                return self.types_of(member.ty(), Some(*owner));
            }
        }
        // A method of a wrapper, an iterator or a trait hands on what it was called on.
        owners
    }

    /// `Type::function`, `Type::Variant`, `module::function`.
    fn of_path(&self, path: Node<'tree>) -> Types {
        let name = path.child_by_field_name("name").map(|name| self.slice(name));
        let Some(name) = name else { return Types::new() };
        let before = path.child_by_field_name("path").map(|before| self.last_name(before));
        let owner = match before {
            Some("Self") => self.self_type,
            Some(before) if before.starts_with(|c: char| c.is_ascii_uppercase()) => {
                self.type_named(before)
            }
            _ => None,
        };
        let types = self.of_item(name, owner);
        if types.is_empty() { owner.into_iter().collect() } else { types }
    }

    fn last_name(&self, path: Node<'tree>) -> &'a str {
        let name = match path.kind() {
            "scoped_identifier" | "scoped_type_identifier" => path.child_by_field_name("name"),
            "generic_type" => path.child_by_field_name("type"),
            _ => None,
        };
        name.map_or_else(|| self.slice(path), |name| self.slice(name))
    }

    fn type_named(&self, name: &str) -> Option<Symbol> {
        let symbol = self.contents.symbol(name)?;
        let mut namesakes = self.contents.definitions(symbol).take(MAX_NAMESAKES);
        namesakes.any(|item| item.kind().is_type()).then_some(symbol)
    }

    fn add_types_in(&self, written: Node<'tree>, types: &mut Types, depth: usize) {
        if types.len() >= MAX_TYPES || depth > 12 {
            return;
        }
        if matches!(written.kind(), "type_identifier" | "identifier") {
            let name = self.slice(written);
            if name == "Self" {
                add(types, self.self_type);
            } else if let Some(bounds) = self.bounds.get(name) {
                if depth < 8 && bounds.start_byte() != written.start_byte() {
                    self.add_types_in(*bounds, types, depth + 4);
                }
            } else if name.starts_with(|c: char| c.is_ascii_uppercase()) {
                add(types, self.type_named(name));
            }
            return;
        }
        for child in written.named_children(&mut written.walk()) {
            self.add_types_in(child, types, depth + 1);
        }
    }

    /// Remembers what type parameters are bound by, in `<T: A>` or `where T: A`.
    fn bound_in(&mut self, list: Node<'tree>) {
        for parameter in list.named_children(&mut list.walk()) {
            let name =
                parameter.child_by_field_name("name").or(parameter.child_by_field_name("left"));
            let bounds = parameter.child_by_field_name("bounds");
            if let Some((name, bounds)) = name.zip(bounds) {
                let name = self.slice(name);
                self.bounds.entry(name).or_insert(bounds);
            }
        }
    }

    /// Collects what `node` binds before `offset`.
    fn bind_in(&mut self, node: Node<'tree>, offset: usize, depth: usize) {
        if depth > 100 || node.start_byte() > offset {
            return;
        }
        let field = |name: &str| node.child_by_field_name(name);
        // What is bound in a body that ends before the cursor is not seen there.
        let is_over = node.end_byte() < offset;
        match node.kind() {
            "let_declaration" => {
                let source = field("type").map(Source::Type).or(field("value").map(Source::Value));
                if let Some((pattern, source)) = field("pattern").zip(source) {
                    self.bind(pattern, node.end_byte(), source, 0);
                }
            }
            "parameter" => {
                if let Some((pattern, ty)) = field("pattern").zip(field("type")) {
                    self.bind(pattern, node.start_byte(), Source::Type(ty), 0);
                }
            }
            "let_condition" | "for_expression" if !is_over || node.kind() == "let_condition" => {
                if let Some((pattern, value)) = field("pattern").zip(field("value")) {
                    self.bind(pattern, value.start_byte(), Source::Value(value), 0);
                }
            }
            "match_arm" if !is_over => {
                let value = node.parent().and_then(|body| body.parent());
                let value = value.and_then(|of| of.child_by_field_name("value"));
                if let Some((pattern, value)) = field("pattern").zip(value) {
                    self.bind(pattern, node.start_byte(), Source::Value(value), 0);
                }
            }
            "closure_expression" if !is_over => {
                // `values.map(|value| …)`: what it is called with is likely of the receiver's.
                let call = node.parent().and_then(|arguments| arguments.parent());
                let receiver = call.and_then(|call| call.child_by_field_name("function"));
                let receiver = receiver.and_then(|function| function.child_by_field_name("value"));
                if let Some((parameters, receiver)) = field("parameters").zip(receiver) {
                    for pattern in parameters.named_children(&mut parameters.walk()) {
                        if pattern.kind() != "parameter" {
                            self.bind(pattern, node.start_byte(), Source::Value(receiver), 0);
                        }
                    }
                }
            }
            "block" if is_over && depth > 0 => return,
            _ => {}
        }
        for child in node.named_children(&mut node.walk()) {
            self.bind_in(child, offset, depth + 1);
        }
    }

    /// Binds the names of a pattern. The parts of a variant or struct have the types of its fields.
    fn bind(&mut self, pattern: Node<'tree>, from: usize, source: Source<'tree>, depth: usize) {
        if depth > 12 {
            return;
        }
        match pattern.kind() {
            "identifier" | "shorthand_field_identifier" => {
                let name = self.slice(pattern);
                if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
                    self.bindings.push(Binding { name, from, source });
                }
            }
            "tuple_struct_pattern" | "struct_pattern" => {
                let ty = pattern.child_by_field_name("type");
                // `Some` and the like are no types of the workspace: the value's are kept.
                let own = ty.filter(|ty| !self.declared(*ty).is_empty());
                let source = own.map_or(source, Source::Value);
                for child in pattern.named_children(&mut pattern.walk()) {
                    if ty != Some(child) {
                        self.bind(child, from, source, depth + 1);
                    }
                }
            }
            _ => {
                for child in pattern.named_children(&mut pattern.walk()) {
                    self.bind(child, from, source, depth + 1);
                }
            }
        }
    }

    /// Whether the workspace declares what a pattern's path names.
    fn declared(&self, path: Node<'tree>) -> Types {
        match path.kind() {
            "scoped_identifier" | "scoped_type_identifier" => self.of_path(path),
            _ => self.of_item(self.slice(path), None),
        }
    }

    fn slice(&self, node: Node<'tree>) -> &'a str {
        // The tree may lag behind the text.
        self.text.get(node.byte_range()).unwrap_or_default()
    }
}

fn add(types: &mut Types, found: Option<Symbol>) {
    if let Some(found) = found
        && types.len() < MAX_TYPES
        && !types.contains(&found)
    {
        types.push(found);
    }
}

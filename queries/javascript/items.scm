; The captures are explained in queries/rust/items.scm.

(class_declaration
  name: (_) @name
  (class_heritage (_) @trait)?
  body: (_) @inside) @item.class

(method_definition
  name: (_) @name
  body: (_) @body) @item.function

(field_definition
  property: (_) @name
  value: (_)? @value) @item.field

(function_declaration
  name: (_) @name
  body: (_) @body) @item.function

(generator_function_declaration
  name: (_) @name
  body: (_) @body) @item.function

(variable_declarator
  name: (identifier) @name
  value: [
    (arrow_function body: (_) @body)
    (function_expression body: (_) @body)
  ]) @item.function

(variable_declarator
  name: (identifier) @name
  value: (class (class_heritage (_) @trait)? body: (_) @inside)) @item.class

(variable_declarator
  name: (identifier) @name
  value: (_)? @value) @item.const

(export_statement) @inside

(lexical_declaration) @inside

(variable_declaration) @inside

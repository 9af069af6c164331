; The captures are explained in queries/rust/items.scm.

(generator_function_declaration
  name: (_) @name
  body: (_) @body) @item.function

(export_statement) @inside

(lexical_declaration) @inside

(variable_declaration) @inside

(class_declaration
  name: (_) @name
  (class_heritage (_) @trait)?
  body: (_) @inside) @item.class

(abstract_class_declaration
  name: (_) @name
  (class_heritage (_) @trait)?
  body: (_) @inside) @item.class

(interface_declaration
  name: (_) @name
  (extends_type_clause (_) @trait)?
  body: (_) @inside) @item.interface

(enum_declaration
  name: (_) @name
  body: (_) @inside) @item.enum

(enum_assignment
  name: (_) @name) @item.variant

(enum_body
  name: (_) @name @item.variant)

(type_alias_declaration
  name: (_) @name
  value: (_) @type) @item.type

(internal_module
  name: (_) @name
  body: (_) @inside) @item.module

(module
  name: (_) @name
  body: (_) @inside) @item.module

(function_declaration
  name: (_) @name
  return_type: (_)? @type
  body: (_) @body) @item.function

(function_signature
  name: (_) @name
  return_type: (_)? @type) @item.function

(method_definition
  (accessibility_modifier)? @visibility
  name: (_) @name
  return_type: (_)? @type
  body: (_) @body) @item.function

(method_signature
  (accessibility_modifier)? @visibility
  name: (_) @name
  return_type: (_)? @type) @item.function

(abstract_method_signature
  (accessibility_modifier)? @visibility
  name: (_) @name
  return_type: (_)? @type) @item.function

(public_field_definition
  (accessibility_modifier)? @visibility
  name: (_) @name
  type: (_)? @type
  value: (_)? @value) @item.field

(property_signature
  name: (_) @name
  type: (_)? @type) @item.field

(variable_declarator
  name: (identifier) @name
  value: [
    (arrow_function return_type: (_)? @type body: (_) @body)
    (function_expression return_type: (_)? @type body: (_) @body)
  ]) @item.function

(variable_declarator
  name: (identifier) @name
  value: (class (class_heritage (_) @trait)? body: (_) @inside)) @item.class

(variable_declarator
  name: (identifier) @name
  type: (_)? @type
  value: (_)? @value) @item.const

(ambient_declaration) @inside

(expression_statement (internal_module)) @inside

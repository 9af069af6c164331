; The captures are explained in queries/rust/items.scm.

(class_definition
  name: (_) @name
  superclasses: (argument_list . (_) @trait)?
  body: (block . (expression_statement (string) @doc)?) @inside) @item.class

(function_definition
  name: (_) @name
  return_type: (_)? @type
  body: (block . (expression_statement (string) @doc)?) @body) @item.function

(expression_statement
  (assignment
    left: (identifier) @name
    type: (_)? @type
    right: (_)? @value)) @item.static

(type_alias_statement
  left: (_) @name
  right: (_) @type) @item.type

(decorated_definition) @inside

(if_statement
  consequence: (_) @inside)

(try_statement
  body: (_) @inside)

; The captures are explained in queries/rust/items.scm.

(function_declaration
  name: (_) @name
  result: (_)? @type
  body: (_)? @body) @item.function

(method_declaration
  receiver: (parameter_list (parameter_declaration type: (_) @target))
  name: (_) @name
  result: (_)? @type
  body: (_)? @body) @item.method

(type_spec
  name: (_) @name
  type: (struct_type (_) @inside)) @item.struct

(type_spec
  name: (_) @name
  type: (interface_type) @inside) @item.interface

(type_spec
  name: (_) @name
  type: (_) @type) @item.type

(type_alias
  name: (_) @name
  type: (_) @type) @item.type

(field_declaration
  name: (_) @name
  type: (_) @type) @item.field

(method_elem
  name: (_) @name
  result: (_)? @type) @item.function

(const_spec
  name: (identifier) @name
  type: (_)? @type
  value: (_)? @value) @item.const

(var_spec
  name: (identifier) @name
  type: (_)? @type
  value: (_)? @value) @item.static

(type_declaration) @inside

(const_declaration) @inside

(var_declaration) @inside

(var_spec_list) @inside

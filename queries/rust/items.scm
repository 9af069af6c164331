; Items: what code elsewhere can refer to. Asked of the direct children of a node at a time, first of
; the file's root.
;
; @item.KIND    the item (`index::Kind` lists the kinds); the signature begins here
; @name         its name; @target's where there is none
; @inside       its members stand among the children of this node; the signature ends before it.
;               Without an @item they belong to the item around
; @body         how it is done; the signature ends before it
; @value        the same, when it is long
; @type         what it returns, holds or stands for
; @target       of an impl: the type; of a method outside of its type: the receiver
; @trait        of an impl: the trait; of a class: what it extends or implements
; @visibility   the keyword; what it means is in `index::extract`
; @doc          its documentation, where that is no comment before it

(function_item
  (visibility_modifier)? @visibility
  name: (_) @name
  return_type: (_)? @type
  body: (_) @body) @item.function

(function_signature_item
  (visibility_modifier)? @visibility
  name: (_) @name
  return_type: (_)? @type) @item.function

(struct_item
  (visibility_modifier)? @visibility
  name: (_) @name
  body: (field_declaration_list)? @inside) @item.struct

(union_item
  (visibility_modifier)? @visibility
  name: (_) @name
  body: (_) @inside) @item.union

(enum_item
  (visibility_modifier)? @visibility
  name: (_) @name
  body: (_) @inside) @item.enum

(enum_variant
  name: (_) @name) @item.variant

(field_declaration
  (visibility_modifier)? @visibility
  name: (_) @name
  type: (_) @type) @item.field

(trait_item
  (visibility_modifier)? @visibility
  name: (_) @name
  body: (_) @inside) @item.trait

(impl_item
  trait: (_)? @trait
  type: (_) @target
  body: (_)? @inside) @item.impl

(mod_item
  (visibility_modifier)? @visibility
  name: (_) @name
  body: (_)? @inside) @item.module

(foreign_mod_item
  body: (_) @inside)

(type_item
  (visibility_modifier)? @visibility
  name: (_) @name
  type: (_) @type) @item.type

(associated_type
  name: (_) @name) @item.type

(const_item
  (visibility_modifier)? @visibility
  name: (_) @name
  type: (_) @type
  value: (_)? @value) @item.const

(static_item
  (visibility_modifier)? @visibility
  name: (_) @name
  type: (_) @type
  value: (_)? @value) @item.static

(macro_definition
  name: (_) @name
  .
  (_) @body) @item.macro

; The captures are explained in queries/rust/imports.scm.

(import_statement
  (import_clause (identifier) @alias)
  source: (_) @module)

(import_statement
  (import_clause (namespace_import (identifier) @alias))
  source: (_) @module)

(import_statement
  (import_clause
    (named_imports
      (import_specifier
        name: (_) @name
        alias: (_)? @alias)))
  source: (_) @module)

(lexical_declaration
  (variable_declarator
    name: (identifier) @alias
    value: (call_expression
      function: (identifier) @_require
      arguments: (arguments . (string) @module)))
  (#eq? @_require "require"))

; The captures are explained in queries/rust/imports.scm.

(import_statement
  name: (dotted_name) @module)

(import_statement
  name: (aliased_import
    name: (_) @module
    alias: (_) @alias))

(import_from_statement
  module_name: (_) @module
  name: (dotted_name) @name)

(import_from_statement
  module_name: (_) @module
  name: (aliased_import
    name: (_) @name
    alias: (_) @alias))

(import_from_statement
  module_name: (_) @module
  (wildcard_import) @all)

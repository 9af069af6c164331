; The captures are explained in queries/rust/imports.scm.

(import_declaration
  (import_spec
    name: (package_identifier)? @alias
    path: (_) @module))

(import_declaration
  (import_spec_list
    (import_spec
      name: (package_identifier)? @alias
      path: (_) @module)))

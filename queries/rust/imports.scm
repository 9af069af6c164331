; What a file takes from elsewhere, among the direct children of the file's root.
;
; @tree     a Rust tree of paths, with groups and aliases in it
; @module   the module that is named
; @name     what is taken of it; without one, the module itself
; @alias    the name it has here
; @all      everything in it is taken
; @visibility   the keyword that hands it on

(use_declaration
  (visibility_modifier)? @visibility
  argument: (_) @tree)

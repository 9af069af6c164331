;;; emacs.el --- Drives Emacs as a user of eglot would  -*- lexical-binding: t -*-

;; Started by tests/editors/emacs, behind what docs/editors.md tells users to write. Ends with an error
;; where something is not as it must be.

(require 'eglot)

;; Emacs has no mode for Rust without a package or a grammar.
(define-derived-mode rust-mode prog-mode "Rust")

(defun await (what condition)
  "Wait until the function CONDITION gives something true, and give that; WHAT names it."
  (with-timeout (20 (error "Waited 20 s in vain for %s; the buffer is %S" what (buffer-string)))
    (let (found)
      (while (not (setq found (funcall condition)))
        (accept-process-output nil 0.02))
      (message "emacs: saw %s" what)
      found)))

(defun equal-or-die (what found expected)
  "Fail where FOUND, which WHAT names, is not EXPECTED."
  (unless (equal found expected)
    (error "%s: expected %S, found %S" what expected found))
  (message "emacs: %s: %S" what found))

(defun scene (text)
  "Put TEXT into the buffer, with the cursor at its bar."
  (erase-buffer)
  (insert text)
  (goto-char (point-min))
  (search-forward "|")
  (delete-char -1)
  (eglot--signal-textDocument/didChange))

(let ((file (expand-file-name "project/main.rs" (getenv "WORK"))))
  (write-region "fn main() {\n    let a\n}\n" nil file)
  (find-file file)
  (rust-mode)
  (setq-local eglot-sync-connect t)
  (apply #'eglot (eglot--guess-contact))
  (await "the server" #'eglot-managed-p)

  ;; A suggestion, accepted.
  (search-forward "let a")
  (await "the model" (lambda () (< 0 (length (plist-get (jsonrpc-request (eglot-current-server) :textDocument/completion
                                                                          (eglot--CompletionParams))
                                                         :items)))))
  (completion-at-point)
  (equal-or-die "accepted" (buffer-string) "fn main() {\n    let answer = 42;\n}\n")

  ;; A change by a code action: the user trusts nothing, and confirms.
  (scene "|pub fn sum(all: &[u32]) -> u32 {\n    all.iter().map(|n| n).sum()\n}\n")
  (let* ((eglot-confirm-server-edits nil)
         (completing-read-function (lambda (_prompt table &rest _) (car (last (all-completions "" table)))))
         (actions (eglot-code-actions (point) nil nil nil))
         (simplify (seq-find (lambda (action) (string-match-p "simplify" (plist-get action :title))) actions)))
    (equal-or-die "the action" (plist-get simplify :title) "Hearth: simplify the function `sum`")
    (eglot-execute (eglot-current-server) simplify)
    (await "the change" (lambda () (string-match-p "copied" (buffer-string)))))

  (eglot-shutdown (eglot-current-server))
  (message "emacs: the server has ended"))
;;; emacs.el ends here

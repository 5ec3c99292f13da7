package ledger

import (
	"errors"
	"fmt"
)

var (
	// ErrLocked: somebody else, in this process or another, has the log open for writing. Callers that can do without
	// writing may fall back to ReadLog.
	ErrLocked = errors.New("the log is open for writing elsewhere")

	// ErrNotFound: the store has no such blob. A caller with a second store asks that one.
	ErrNotFound = errors.New("blob not found")

	// ErrProof: checkpoint, leaf and proof do not fit together, whichever of them is wrong. An auditor branches on it.
	ErrProof = errors.New("proof refused")

	// ErrReadOnly: the log was opened with ReadLog and cannot be appended to.
	ErrReadOnly = errors.New("the log is open for reading only")
)

// DamageError says that a file of a log or of a blob store is missing, cut off, changed, or not one of ours. Callers
// show it to the operator, or fetch the blob again from another node.
type DamageError struct {
	File   string // path of the file
	CID    CID    // the blob that cannot be read; the zero CID for a file of a log
	Reason string // what is wrong
	Remedy string // what to do

	cause error // ErrNotFound, or an error of the operating system, or nil
}

func (e *DamageError) Error() string {
	if e.CID != (CID{}) {
		return fmt.Sprintf("%s: blob %v: %s; %s", e.File, e.CID, e.Reason, e.Remedy)
	}
	return fmt.Sprintf("%s: %s; %s", e.File, e.Reason, e.Remedy)
}

// Unwrap gives ErrNotFound for a missing blob, and the error of the operating system where there was one.
func (e *DamageError) Unwrap() error { return e.cause }

// ConflictError says that a log does not contain a checkpoint that it once signed: it was rolled back, or rewritten, or
// shows different histories to different people. Both heads are signed by the same key, so the pair is evidence.
type ConflictError struct {
	File       string      // the checkpoint file of the log
	Here       *Checkpoint // what the log shows now; nil if there is no log at that place
	Remembered *Checkpoint // what it showed before
}

func (e *ConflictError) Error() string {
	const remedy = "do not append; keep both checkpoints as evidence and restore the log from a copy that contains the remembered one"
	if e.Here == nil {
		return fmt.Sprintf("%s: no log here, but %v is remembered; %s", e.File, e.Remembered, remedy)
	}
	what := "was rewritten"
	if e.Here.Size < e.Remembered.Size {
		what = "was rolled back"
	}
	return fmt.Sprintf("%s: the log %s: here is %v, remembered is %v; %s", e.File, what, e.Here, e.Remembered, remedy)
}

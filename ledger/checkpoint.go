package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	// maxSize bounds the number of leaves of a log: far more than a country's records, and index arithmetic cannot overflow.
	maxSize = 1 << 40
	// maxCheckpoint bounds a signed checkpoint in bytes; there is room for a hundred cosignatures.
	maxCheckpoint = 64 << 10
)

// emptyRoot is the root of a tree without leaves: the hash of nothing (RFC 6962, section 2.1).
var emptyRoot = sha256.Sum256(nil)

// Checkpoint is a signed head of a log: so many leaves, with that root. A Checkpoint exists only after its signature was
// verified. Do not change its fields.
type Checkpoint struct {
	Origin string   // the log's name
	Size   int64    // number of leaves
	Root   [32]byte // Merkle tree hash of the leaves (RFC 6962, section 2.1)

	signed []byte
}

// NewCheckpoint verifies a signed checkpoint (docs/spec/ledger.md, section 3) under the log's key. Signatures by other
// keys, such as cosignatures of witnesses, may be there and are not judged.
func NewCheckpoint(signed []byte, v *Verifier) (*Checkpoint, error) {
	fail := func(format string, args ...any) (*Checkpoint, error) {
		return nil, fmt.Errorf("checkpoint refused: "+format, args...)
	}
	if v == nil {
		return nil, errNoKey
	}
	if len(signed) > maxCheckpoint {
		return fail("%d bytes are over the limit of %d", len(signed), maxCheckpoint)
	}
	n, err := note.Open(signed, note.VerifierList(v.v))
	if err != nil {
		return fail("no valid signature of %s: %v", v.Name(), err)
	}
	// The note format lets one signature be written in several ways (unused bits of base64, repeated lines). One is allowed.
	_, sigs, _ := bytes.Cut(signed[len(n.Text):], []byte("\n"))
	seen := map[string]bool{}
	for line := range strings.Lines(string(sigs)) {
		name, b64, _ := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "— "), " ")
		raw, err := base64.StdEncoding.Strict().DecodeString(b64)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != b64 {
			return fail("a signature is not in canonical base64")
		}
		key := name + " " + string(raw[:4]) // note.Open has checked that there are four bytes of key hash
		if seen[key] {
			return fail("%s signed more than once", name)
		}
		seen[key] = true
	}

	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return fail("the text has %d lines, not 3; extension lines are not known to this version", len(lines)-1)
	}
	c := &Checkpoint{Origin: lines[0], signed: bytes.Clone(signed)}
	if c.Origin != v.Name() {
		return fail("it is of %q, not of %q", c.Origin, v.Name())
	}
	c.Size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || c.Size < 0 || c.Size > maxSize || strconv.FormatInt(c.Size, 10) != lines[1] {
		return fail("the size %q is not a plain number from 0 to %d", lines[1], int64(maxSize))
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(c.Root) || base64.StdEncoding.EncodeToString(root) != lines[2] {
		return fail("the root is not 32 bytes in base64")
	}
	copy(c.Root[:], root)
	if c.Size == 0 && c.Root != emptyRoot {
		return fail("the root of an empty log is the hash of nothing")
	}
	return c, nil
}

// signCheckpoint is the head of a tree, signed.
func signCheckpoint(s *Signer, size int64, root tlog.Hash) (*Checkpoint, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", s.name, size, base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, noteSigner{s})
	if err != nil {
		return nil, err
	}
	return &Checkpoint{Origin: s.name, Size: size, Root: root, signed: signed}, nil
}

// Bytes returns the signed note, a copy. NewCheckpoint reads it.
func (c *Checkpoint) Bytes() []byte { return bytes.Clone(c.signed) }

// String names the head for messages: origin, size and root.
func (c *Checkpoint) String() string {
	return fmt.Sprintf("%s with %d leaves and root %x", c.Origin, c.Size, c.Root)
}

package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/veilchart/veilchart/internal/wire"
)

const (
	proofVersion = 1
	proofSuite   = 1 // RFC 6962 hashing with SHA-256

	typeInclusion   = 1
	typeConsistency = 2

	// maxPath bounds the hashes of a proof: one per level, and one more for consistency.
	maxPath = 64
)

// proof is a decoded inclusion or consistency proof (docs/spec/ledger.md, section 4). a and b are index and size, or the
// older and the newer size.
type proof struct {
	typ  uint8
	a, b int64
	path []tlog.Hash
}

func (p proof) bytes() []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindLedgerProof, Version: proofVersion, Suite: proofSuite})
	b = append(b, p.typ)
	b = binary.BigEndian.AppendUint64(b, uint64(p.a))
	b = binary.BigEndian.AppendUint64(b, uint64(p.b))
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.path)))
	for _, h := range p.path {
		b = append(b, h[:]...)
	}
	return b
}

func newProof(b []byte) (proof, error) {
	var p proof
	d := wire.NewDecoder(b)
	h := d.Header(wire.KindLedgerProof)
	if d.Err() == nil && (h.Version != proofVersion || h.Suite != proofSuite) {
		d.Failf("proof of version %d, suite %d; this program knows version %d, suite %d; use a newer one", h.Version, h.Suite, proofVersion, proofSuite)
	}
	p.typ = d.Uint8()
	if d.Err() == nil && p.typ != typeInclusion && p.typ != typeConsistency {
		d.Failf("unknown type of proof %d", p.typ)
	}
	num := func() int64 {
		v := d.Uint64()
		if v > maxSize {
			d.Failf("the number %d is over the limit of %d", v, int64(maxSize))
			return 0
		}
		return int64(v)
	}
	p.a, p.b = num(), num()
	p.path = make([]tlog.Hash, d.Len(maxPath, tlog.HashSize))
	for i := range p.path {
		copy(p.path[i][:], d.Raw(tlog.HashSize))
	}
	if err := d.Finish(); err != nil {
		return proof{}, err
	}
	return p, nil
}

// VerifyInclusion checks that leaf is the leaf number index, from 0, of the log that v's key signed the checkpoint for.
// It needs no log and no network. Every refusal wraps ErrProof. RFC 9162, section 2.1.3.2; at most 40 hashes.
func VerifyInclusion(checkpoint []byte, v *Verifier, leaf []byte, index int64, proof []byte) error {
	c, err := NewCheckpoint(checkpoint, v)
	if err != nil {
		return refused(err)
	}
	p, err := newProof(proof)
	if err != nil {
		return refused(err)
	}
	if len(leaf) < MinLeaf || len(leaf) > MaxLeaf {
		return refused(errLeafLength(len(leaf)))
	}
	switch {
	case p.typ != typeInclusion:
		return refused(errors.New("this is a consistency proof; pass an inclusion proof"))
	case p.a != index:
		return refused(fmt.Errorf("the proof is for leaf %d, not %d", p.a, index))
	case p.b != c.Size:
		return refused(fmt.Errorf("the proof is for %d leaves, the checkpoint has %d; pass the checkpoint that the proof was made for", p.b, c.Size))
	}
	if err := tlog.CheckRecord(p.path, c.Size, c.Root, index, tlog.RecordHash(leaf)); err != nil {
		return refused(errors.New("leaf, index and path do not lead to the signed root"))
	}
	return nil
}

// VerifyConsistency checks that the log of the newer checkpoint begins with all leaves of the older one: nothing was
// taken out, changed or moved. Every refusal wraps ErrProof; two checkpoints that v's key signed and that no proof can
// join are evidence of a fork. RFC 9162, section 2.1.4.2; at most 41 hashes.
func VerifyConsistency(older, newer []byte, v *Verifier, proof []byte) error {
	c1, err := NewCheckpoint(older, v)
	if err != nil {
		return refused(fmt.Errorf("older: %w", err))
	}
	c2, err := NewCheckpoint(newer, v)
	if err != nil {
		return refused(fmt.Errorf("newer: %w", err))
	}
	p, err := newProof(proof)
	if err != nil {
		return refused(err)
	}
	switch {
	case p.typ != typeConsistency:
		return refused(errors.New("this is an inclusion proof; pass a consistency proof"))
	case c1.Size > c2.Size:
		return refused(fmt.Errorf("the older checkpoint has %d leaves, the newer one only %d; exchange them, or the log was rolled back", c1.Size, c2.Size))
	case p.a != c1.Size || p.b != c2.Size:
		return refused(fmt.Errorf("the proof joins %d and %d leaves, the checkpoints have %d and %d", p.a, p.b, c1.Size, c2.Size))
	}
	if err := checkConsistency(p.path, c1, c2); err != nil {
		return refused(fmt.Errorf("%v and %v are not one history by this proof", c1, c2))
	}
	return nil
}

func checkConsistency(path []tlog.Hash, c1, c2 *Checkpoint) error {
	if c1.Size == 0 {
		// RFC 9162 leaves this case out. Every log begins with nothing, and there is nothing to prove.
		if len(path) != 0 {
			return ErrProof
		}
		return nil
	}
	return tlog.CheckTree(path, c2.Size, c2.Root, c1.Size, c1.Root)
}

func refused(err error) error { return fmt.Errorf("%w: %w", ErrProof, err) }

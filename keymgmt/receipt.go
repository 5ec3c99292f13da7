package keymgmt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/veilchart/veilchart/internal/wire"
)

const (
	suiteReceipt = 1 // Ed25519

	stageDestroyed uint8 = 1
	// 2: the second receipt, which closes the deadline; reserved

	maxLines  = 256
	maxLine   = 512
	maxActor  = 256
	maxReason = 1024
)

// Receipt is the signed statement that a key was destroyed. It is encoded as in docs/spec/keymgmt.md, section 8. It
// holds the key's name, which may be a patient's number: treat it so.
type Receipt struct {
	Ring       [16]byte // the ring's random identifier
	Name       string
	Versions   []uint32  // that were destroyed, ascending
	Time       time.Time // UTC, microseconds
	Actor      string    // from WithUse
	Reason     string    // from WithUse
	AtOnce     []string  // nobody can read this any more
	ByDeadline []string  // this goes by Deadline
	Deadline   time.Time // zero if ByDeadline is empty

	Epoch       uint64 // of the root key that was erased
	RingVersion uint64 // the first version of the ring without the key

	signer    [ed25519.PublicKeySize]byte
	signature [ed25519.SignatureSize]byte
}

// Bytes is the canonical encoding, with the signature.
func (r *Receipt) Bytes() []byte { return append(r.body(), r.signature[:]...) }

func (r *Receipt) body() []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindKeyReceipt, Version: 1, Suite: suiteReceipt})
	b = append(b, stageDestroyed)
	b = append(b, r.Ring[:]...)
	b = wire.AppendString(b, r.Name)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Versions)))
	for _, v := range r.Versions {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time.UnixMicro()))
	b = wire.AppendString(b, r.Actor)
	b = wire.AppendString(b, r.Reason)
	for _, lines := range [][]string{r.AtOnce, r.ByDeadline} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(lines)))
		for _, line := range lines {
			b = wire.AppendString(b, line)
		}
	}
	deadline := uint64(0)
	if len(r.ByDeadline) > 0 {
		deadline = uint64(r.Deadline.UnixMicro())
	}
	b = binary.BigEndian.AppendUint64(b, deadline)
	b = binary.BigEndian.AppendUint64(b, r.Epoch)
	b = binary.BigEndian.AppendUint64(b, r.RingVersion)
	return append(b, r.signer[:]...)
}

// message is what is signed: the label and the body.
func message(body []byte) []byte { return append(wire.AppendString(nil, labelReceipt), body...) }

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func (r *Receipt) sign(key ed25519.PrivateKey) {
	copy(r.signer[:], publicOf(key))
	copy(r.signature[:], ed25519.Sign(key, message(r.body())))
}

func (r *Receipt) clone() *Receipt {
	c := *r
	c.Versions, c.AtOnce, c.ByDeadline = slices.Clone(r.Versions), slices.Clone(r.AtOnce), slices.Clone(r.ByDeadline)
	return &c
}

// VerifyReceipt reads a receipt and verifies its signature by the ring's ReceiptKey, which the verifier must have got
// beforehand. ErrDamaged if the encoding is none of a receipt, ErrSignature if key did not sign it.
func VerifyReceipt(encoding []byte, key ed25519.PublicKey) (*Receipt, error) {
	r, err := decodeReceipt(encoding)
	if err != nil {
		return nil, fmt.Errorf("keymgmt: receipt: %w: %w", ErrDamaged, err)
	}
	if len(key) != ed25519.PublicKeySize || !bytes.Equal(key, r.signer[:]) {
		return nil, fmt.Errorf("keymgmt: receipt for %q: it names another signing key: %w: get the key of its ring", r.Name, ErrSignature)
	}
	if !ed25519.Verify(key, message(r.body()), r.signature[:]) {
		return nil, fmt.Errorf("keymgmt: receipt for %q: %w: it was altered or forged", r.Name, ErrSignature)
	}
	return r, nil
}

func decodeReceipt(b []byte) (*Receipt, error) {
	d := wire.NewDecoder(b)
	r := &Receipt{}
	if h := d.Header(wire.KindKeyReceipt); d.Err() == nil && (h.Version != 1 || h.Suite != suiteReceipt) {
		d.Failf("receipt of format version %d, suite %d; known is version 1, suite %d", h.Version, h.Suite, suiteReceipt)
	}
	if stage := d.Uint8(); d.Err() == nil && stage != stageDestroyed {
		d.Failf("receipt of stage %d; this program knows stage %d only", stage, stageDestroyed)
	}
	copy(r.Ring[:], d.Raw(16))
	r.Name = d.String(maxName)
	if err := checkName(r.Name); err != nil {
		d.Failf("%v", err)
	}
	for range d.Len(maxVersions, 4) {
		v := d.Uint32()
		if k := len(r.Versions); v == 0 || k > 0 && r.Versions[k-1] >= v {
			d.Failf("versions out of order")
		}
		r.Versions = append(r.Versions, v)
	}
	if len(r.Versions) == 0 {
		d.Failf("a receipt for nothing")
	}
	r.Time = timeOf(d, d.Uint64())
	r.Actor, r.Reason = d.String(maxActor), d.String(maxReason)
	r.AtOnce = lines(d)
	r.ByDeadline = lines(d)
	if micros := d.Uint64(); len(r.ByDeadline) > 0 {
		r.Deadline = timeOf(d, micros)
	} else if micros != 0 {
		d.Failf("a deadline for nothing")
	}
	r.Epoch, r.RingVersion = d.Uint64(), d.Uint64()
	if d.Err() == nil && (r.Epoch == 0 || r.RingVersion < 2) {
		d.Failf("epoch %d and ring version %d cannot be", r.Epoch, r.RingVersion)
	}
	copy(r.signer[:], d.Raw(len(r.signer)))
	copy(r.signature[:], d.Raw(len(r.signature)))
	if d.Err() == nil {
		if err := checkText(Use{r.Actor, r.Reason}, r.AtOnce, r.ByDeadline); err != nil {
			d.Failf("%v", err)
		}
	}
	return r, d.Finish()
}

func lines(d *wire.Decoder) []string {
	var l []string
	for range d.Len(maxLines, 4) {
		l = append(l, d.String(maxLine))
	}
	return l
}

func timeOf(d *wire.Decoder, micros uint64) time.Time {
	if micros > maxMicros {
		d.Failf("time out of range")
		return time.Time{}
	}
	return time.UnixMicro(int64(micros)).UTC()
}

// valid holds the limits that the decoder holds, before anything is signed.
func (d Destruction) valid(use Use) error {
	if len(d.ByDeadline) > 0 {
		if m := d.Deadline.UnixMicro(); d.Deadline.Year() < 1970 || d.Deadline.Year() > 9998 || m < 0 {
			return errors.New("ByDeadline needs a Deadline between 1970 and 9998")
		}
	} else if !d.Deadline.IsZero() {
		return errors.New("a Deadline without ByDeadline: say what goes by then, or leave it out")
	}
	return checkText(use, d.AtOnce, d.ByDeadline)
}

func checkText(use Use, atOnce, byDeadline []string) error {
	if len(use.Actor) > maxActor || len(use.Reason) > maxReason || !utf8.ValidString(use.Actor) || !utf8.ValidString(use.Reason) {
		return fmt.Errorf("actor and reason are UTF-8 of at most %d and %d bytes", maxActor, maxReason)
	}
	if len(atOnce)+len(byDeadline) > maxLines {
		return fmt.Errorf("%d lines: at most %d fit a receipt", len(atOnce)+len(byDeadline), maxLines)
	}
	for _, line := range slices.Concat(atOnce, byDeadline) {
		if len(line) > maxLine || !utf8.ValidString(line) {
			return fmt.Errorf("line %q: a line is UTF-8 of at most %d bytes", line, maxLine)
		}
	}
	return nil
}

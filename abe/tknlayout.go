package abe

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"strings"

	"github.com/veilchart/veilchart/internal/pairing"
)

// circl's own encodings, version v1.3.8 of its ciphertexts, little-endian: docs/spec/abe.md section 10. A layout is what one must be, byte
// for byte, but for the places where group elements, scalars and hashes stand.
type layout struct {
	bytes []byte
	holes []hole // ascending
}

// hole is a place. If it holds group elements, point is the length of one, otherwise 0.
type hole struct{ from, to, point int }

// fits says whether b has this layout. Of what stands in the holes it sees that no group element is compressed or the identity: their first
// three bits are 0. circl looks at the rest.
func (l *layout) fits(b []byte) bool {
	if len(b) != len(l.bytes) {
		return false
	}
	at := 0
	for _, h := range append(l.holes, hole{from: len(b), to: len(b)}) {
		if !bytes.Equal(b[at:h.from], l.bytes[at:h.from]) {
			return false
		}
		for p := h.from; h.point > 0 && p < h.to; p += h.point {
			if b[p]&0xe0 != 0 {
				return false
			}
		}
		at = h.to
	}
	return true
}

func (l *layout) uint16(n int)  { l.bytes = binary.LittleEndian.AppendUint16(l.bytes, uint16(n)) }
func (l *layout) uint32(n int)  { l.bytes = binary.LittleEndian.AppendUint32(l.bytes, uint32(n)) }
func (l *layout) text(s string) { l.bytes = append(l.bytes, s...) }

func (l *layout) hole(n int) {
	l.holes = append(l.holes, hole{from: len(l.bytes), to: len(l.bytes) + n})
	l.bytes = append(l.bytes, make([]byte, n)...)
}

// matrix is a length, two dimensions and the entries.
func (l *layout) matrix(rows, cols, entry int) {
	l.uint16(4 + rows*cols*entry)
	l.uint16(rows)
	l.uint16(cols)
	l.hole(rows * cols * entry)
	if entry == tknG1 || entry == tknG2 {
		l.holes[len(l.holes)-1].point = entry
	}
}

// Sizes of circl's entries: elements are not compressed.
const (
	tknG1     = 96
	tknG2     = 192
	tknScalar = 32

	maxTKN20Public = 8 << 10 // bytes of a public or secret key, both of which are of one length
)

// tknVersion opens circl's ciphertexts.
const tknVersion = "v1.3.8"

// tknValue is the value of every label, and tknValueHash what circl makes of it.
const (
	tknValue     = "1"
	tknValueHash = "\x6b\xef\xdb\x69\x70\xeb\xf1\xc4\xf9\xa5\xe0\xae\xda\x82\x09\x24\x83\x4c\x87\x9a\x9a\x74\x9a\xd6\x2f\x9b\x00\x12\xd1\x8f\xb9\xf2"
)

// tknTransform is the label of the CCA transformation in keys. No other label has a hyphen.
const tknTransform = "internal-boneh-katz-transform-attribute"

// tknLabel is the label of an atom: circl's labels have letters, digits and underscores. Two atoms with one label would be a collision of SHAKE256.
func tknLabel(u atom) string {
	digest := derive(labelLabel, []byte(u))
	return "a" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(digest[:]))
}

func tknPublicLayout() *layout {
	l := new(layout)
	l.matrix(4, 2, tknG2)
	l.matrix(3, 2, tknG1)
	l.matrix(2, 1, pairing.GTSize)
	return l
}

func tknMasterLayout() *layout {
	l := new(layout)
	l.matrix(3, 2, tknScalar)
	l.matrix(4, 2, tknScalar)
	l.matrix(4, 2, tknScalar)
	l.matrix(4, 2, tknScalar)
	l.matrix(4, 1, tknScalar)
	l.uint16(16)
	l.hole(16)
	return l
}

func tknKeyLayout(atoms []atom) *layout {
	labels := sortedLabels(atoms)
	size := 2 + 2 + len(tknTransform) + 1 + tknScalar
	for _, label := range labels {
		size += 2 + len(label) + 1 + tknScalar
	}
	l := new(layout)
	all := append(labels, tknTransform) // "i" sorts after "a"
	l.uint16(size)
	l.uint16(len(all))
	for _, label := range all {
		l.uint16(len(label))
		l.text(label)
		if label == tknTransform {
			l.text("\x01") // a wildcard
			l.text(strings.Repeat("\x00", tknScalar))
		} else {
			l.text("\x00")
			l.text(tknValueHash)
		}
	}
	l.matrix(3, 1, tknG2)
	l.matrix(4, 1, tknG1)
	l.uint16(len(all))
	for _, label := range all {
		l.uint16(len(label))
		l.text(label)
		l.matrix(4, 1, tknG1)
	}
	l.uint16(1)
	l.uint16(len(tknTransform))
	l.text(tknTransform)
	l.matrix(4, 1, tknG1)
	return l
}

// tknCiphertextLayout is a ciphertext of keySize bytes for t, and holds t whole.
func tknCiphertextLayout(t *tknTree) *layout {
	policy := t.appendPolicy(nil)
	tau := t.tau()
	head := new(layout) // C1
	head.uint16(len(policy))
	head.text(string(policy))
	head.matrix(4, 1, tknG2)
	head.uint16(tau)
	for range tau {
		head.matrix(4, 1, tknG2)
	}
	head.uint16(t.leaves + 1)
	for range t.leaves + 1 {
		head.matrix(3, 1, tknG1)
	}
	for range t.leaves + 1 { // for negations, of which there are none
		head.uint16(0)
	}
	const envelope = 72 + keySize
	l := new(layout)
	l.text(tknVersion)
	l.uint16(32)
	l.hole(32)
	l.uint32(4 + len(head.bytes) + 4 + envelope)
	l.uint32(len(head.bytes))
	for _, h := range head.holes {
		l.holes = append(l.holes, hole{len(l.bytes) + h.from, len(l.bytes) + h.to, h.point})
	}
	l.bytes = append(l.bytes, head.bytes...)
	l.uint32(envelope)
	l.hole(envelope)
	l.uint16(32)
	l.hole(32)
	return l
}

// appendPolicy appends circl's encoding of t: the gates, each after its kids, and the leaves. Wires are numbered: the leaves from 0, then the gates.
func (t *tknTree) appendPolicy(b []byte) []byte {
	gates := t.leaves - 1
	l := &layout{bytes: b}
	l.uint16(2 + 7*gates)
	l.uint16(gates)
	leaf, gate := 0, t.leaves
	var number func(t *tknTree) int
	number = func(t *tknTree) int {
		if t.isLeaf() {
			leaf++
			return leaf - 1
		}
		left, right := number(t.left), number(t.right)
		if t.and {
			l.text("\x00")
		} else {
			l.text("\x01")
		}
		l.uint16(left)
		l.uint16(right)
		l.uint16(gate)
		gate++
		return gate - 1
	}
	number(t)
	l.uint16(t.leaves)
	t.walk(func(u atom) {
		label := tknLabel(u)
		l.uint16(2 + len(label) + 2 + len(tknValue) + 2 + tknScalar + 1)
		l.uint16(len(label))
		l.text(label)
		l.uint16(len(tknValue))
		l.text(tknValue)
		l.uint16(tknScalar)
		l.text(tknValueHash)
		l.text("\x01") // not negated
	}, func(*tknTree) {})
	return l.bytes
}

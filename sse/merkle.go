package sse

import (
	"crypto/sha256"
	"errors"
)

var errRoot = errors.New("its pages together are not those that the manifest names")

// merkle computes the root over the sealed pages of a segment, in the way of RFC 6962, section 2.1: a leaf is
// SHA-256(0 || page), a node SHA-256(1 || left || right), and an unpaired node moves up. It keeps one hash per level.
type merkle struct {
	peaks []merklePeak // complete subtrees, the largest first
	pages uint32
	leaf  []byte
}

type merklePeak struct {
	size uint32
	hash [32]byte
}

func (m *merkle) add(page []byte) {
	m.leaf = append(append(m.leaf[:0], 0), page...)
	p := merklePeak{1, sha256.Sum256(m.leaf)}
	m.pages++
	for n := len(m.peaks); n > 0 && m.peaks[n-1].size == p.size; n-- {
		p = merklePeak{2 * p.size, merkleNode(m.peaks[n-1].hash, p.hash)}
		m.peaks = m.peaks[:n-1]
	}
	m.peaks = append(m.peaks, p)
}

// root is the hash over what was added; that of nothing is SHA-256 of nothing.
func (m *merkle) root() [32]byte {
	if len(m.peaks) == 0 {
		return sha256.Sum256(nil)
	}
	h := m.peaks[len(m.peaks)-1].hash
	for i := len(m.peaks) - 2; i >= 0; i-- {
		h = merkleNode(m.peaks[i].hash, h)
	}
	return h
}

func merkleNode(l, r [32]byte) [32]byte {
	var b [65]byte
	b[0] = 1
	copy(b[1:], l[:])
	copy(b[33:], r[:])
	return sha256.Sum256(b[:])
}

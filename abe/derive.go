package abe

import (
	"crypto/sha3"
	"encoding/binary"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// Labels of the derivations, docs/spec/abe.md section 4. Each is used with one number of parts only.
const (
	labelFingerprint = "fingerprint" // params
	labelCoins       = "r"           // sigma, pre
	labelMask        = "d"           // d, pre, enc
	labelCore        = "h"           // core
	labelKey         = "k"           // sigma, K_pq or empty, companion or empty, H(core)
	labelWrap        = "w"           // K, record id
	labelAssociated  = "a"           // associated data
	labelCommit      = "c"           // payload key, digest of the associated data
	labelLabel       = "l"           // atom: its label under TKN20
	labelMaster      = "t"           // public and secret key of a TKN20 authority
)

const labelPrefix = "veilchart/abe/v1/"

// size of every derived key and digest in bytes.
const keySize = 32

// xof is SHAKE256 over the label and the parts, each with its length in front, so that no two inputs run together.
func xof(label string, parts ...[]byte) *sha3.SHAKE {
	h := sha3.NewSHAKE256()
	h.Write(wire.AppendString(nil, labelPrefix+label))
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write(p)
	}
	return h
}

// derive returns 32 bytes of xof.
func derive(label string, parts ...[]byte) (out [keySize]byte) {
	xof(label, parts...).Read(out[:])
	return out
}

// coins is the random tape of one encryption: non-zero scalars, in the order in which they are drawn.
type coins struct{ tape *sha3.SHAKE }

func (c coins) scalar() pairing.Scalar {
	for {
		var b [pairing.WideSize]byte
		c.tape.Read(b[:])
		if x := pairing.ReduceWide(&b); !x.IsZero() {
			return x
		}
	}
}

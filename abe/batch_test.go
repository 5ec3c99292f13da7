package abe

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

func TestSealEachSealsEachRecordByItself(t *testing.T) {
	a := generate(t)
	key, stranger := issue(t, a, "a", "b"), issue(t, a, "c")
	companion := bytes.Repeat([]byte{7}, 32)
	for _, n := range []int{1, 2, batchTableAfter + 1} { // alone, and together without and with tables
		var records []Record
		for i := range n {
			records = append(records, Record{ID: fmt.Sprint("r", i), Plaintext: []byte(fmt.Sprint("text ", i)), AssociatedData: []byte{byte(i)}})
		}
		sealed, err := a.Params().SealEach(parsePolicy(t, "(a or c) and b"), records, &Options{Companion: companion})
		require.NoError(t, err)
		require.Len(t, sealed, n)
		bodies := map[string]bool{}
		for i, object := range sealed {
			opts := &Options{Companion: companion, AssociatedData: []byte{byte(i)}}
			plaintext, err := key.Open(object, opts)
			require.NoError(t, err)
			require.Equal(t, records[i].Plaintext, plaintext)
			_, err = stranger.Open(object, opts)
			require.ErrorIs(t, err, ErrDecrypt)
			opts.AssociatedData = []byte{byte(i + 1)}
			_, err = key.Open(object, opts)
			require.ErrorIs(t, err, ErrDecrypt)
			h, err := decodeHeader(object)
			require.NoError(t, err)
			require.Equal(t, records[i].ID, h.RecordID)
			// Nothing of one encapsulation is in another: C0 and every element differ.
			for part := h.body; len(part) > 0; part = part[16:] {
				require.False(t, bodies[string(part[:16])])
				bodies[string(part[:16])] = true
			}
			// The tail of one object is not good for another.
			other := sealed[(i+1)%n]
			g, err := decodeHeader(other)
			require.NoError(t, err)
			if n > 1 {
				mixed := append(bytes.Clone(h.core), other[len(g.core):]...)
				_, err = key.Open(mixed, opts)
				require.ErrorIs(t, err, ErrDecrypt)
			}
		}
	}
}

func TestSealEachRefuses(t *testing.T) {
	a := generate(t)
	policy := parsePolicy(t, "a")
	one := Record{ID: "r", Plaintext: []byte("text")}
	none, err := a.Params().SealEach(policy, nil, nil)
	require.NoError(t, err)
	require.Empty(t, none)
	for want, call := range map[string]func() ([][]byte, error){
		"no params":   func() ([][]byte, error) { return new(Params).SealEach(policy, []Record{one}, nil) },
		"no policy":   func() ([][]byte, error) { return a.Params().SealEach(nil, []Record{one}, nil) },
		"comes twice": func() ([][]byte, error) { return a.Params().SealEach(policy, []Record{one, one}, nil) },
		"record id":   func() ([][]byte, error) { return a.Params().SealEach(policy, []Record{{}}, nil) },
		"stand in each": func() ([][]byte, error) {
			return a.Params().SealEach(policy, []Record{one}, &Options{AssociatedData: []byte("x")})
		},
		"companion key has ": func() ([][]byte, error) {
			return a.Params().SealEach(policy, []Record{one}, &Options{Companion: []byte("x")})
		},
	} {
		sealed, err := call()
		require.ErrorContains(t, err, want)
		require.Nil(t, sealed)
	}
}

// brokenPublic is a suite without a fast way, which fails at its third encapsulation.
type brokenPublic struct {
	public
	calls chan int
}

func (b brokenPublic) encapsulate(pre []byte, f *formula) ([]byte, [keySize]byte, error) {
	n := <-b.calls
	b.calls <- n + 1
	if n >= 3 {
		return nil, [keySize]byte{}, fmt.Errorf("encapsulation %d", n)
	}
	return b.public.encapsulate(pre, f)
}

func TestSealEachWithoutAFastWay(t *testing.T) {
	a := generate(t)
	params := *a.Params()
	broken := brokenPublic{params.public, make(chan int, 1)}
	broken.calls <- 1
	params.public = broken
	records := []Record{{ID: "1"}, {ID: "2", Plaintext: []byte("two")}}
	sealed, err := params.SealEach(parsePolicy(t, "a"), records, nil)
	require.NoError(t, err)
	got, err := issue(t, a, "a").Open(sealed[1], nil)
	require.NoError(t, err)
	require.Equal(t, []byte("two"), got)
	sealed, err = params.SealEach(parsePolicy(t, "a"), records, nil)
	require.ErrorContains(t, err, "encapsulation 3")
	require.Nil(t, sealed)
}

// Encapsulations that are made together are those that are made one by one, with and without tables, and open.
func TestEncapsulateEachAgreesWithOneByOne(t *testing.T) {
	m := newFABEOMaster(pairing.ScalarFromInt64(3))
	key := m.keyGen([]atom{Attribute{Name: "a"}.atom(), Attribute{Name: "c"}.atom()})
	for _, text := range []string{"a", "(a or b) and (a or c)", "2 of (a, b, c)"} {
		f := parsePolicy(t, text).formula()
		sel, ok := f.satisfy(key.has)
		require.True(t, ok)
		for _, n := range []int{2, 17, batchTableAfter + 1} {
			pres := make([][]byte, n)
			for i := range pres {
				pres[i] = []byte{byte(i)}
			}
			bodies, sigmas := m.pub.encapsulateEach(pres, f)
			for i := range pres {
				require.Equal(t, m.pub.encapsulateSigma(pres[i], f, sigmas[i]), bodies[i])
				require.False(t, i > 0 && sigmas[i] == sigmas[i-1])
			}
			got, err := key.decapsulate(pres[n-1], bodies[n-1], f, sel)
			require.NoError(t, err)
			require.Equal(t, sigmas[n-1], got)
		}
	}
}

// Tables are made for atoms that a batch asks for often enough.
func TestBatchTablesPay(t *testing.T) {
	p := newFABEOMaster(pairing.ScalarFromInt64(3)).pub
	f := parsePolicy(t, "(a or b) and (a or c)").formula()
	require.Len(t, p.batchTables(f, 1), 0)
	require.Len(t, p.batchTables(f, batchTableAfter/2), 1, "a is asked for twice")
	require.Len(t, p.batchTables(f, batchTableAfter), 3)
	for u, table := range p.batchTables(f, batchTableAfter) {
		require.True(t, p.hashes.point(u).Equal(table.Mul(pairing.ScalarFromInt64(1))))
	}
}

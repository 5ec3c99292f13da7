package he

import (
	"context"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tuneinsight/lattigo/v6/core/rlwe"
	"github.com/tuneinsight/lattigo/v6/schemes/bgv"
)

func answered(t *testing.T, k *Key, kind QueryKind, set *RowSet) (*Plan, *Answer, *Column) {
	t.Helper()
	c, err := k.EncryptColumn(bmi, []Value{{0, 20}, {1, 30}, {2, 40}})
	require.NoError(t, err)
	p, err := NewPlan(Query{kind, "bmi", set}, c)
	require.NoError(t, err)
	a, err := Evaluate(t.Context(), p, c)
	require.NoError(t, err)
	return p, a, c
}

func TestWhatDoesNotBelongTogetherFails(t *testing.T) {
	k, other := newTestKey(t), newTestKey(t)
	p, a, c := answered(t, k, Mean, nil)
	_, err := other.Decrypt(p, a)
	require.Equal(t, ErrDecrypt, err)

	p2, a2, _ := answered(t, k, Mean, nil) // equal values, another column
	_, err = k.Decrypt(p, a2)
	require.Equal(t, ErrDecrypt, err)
	_, err = k.Decrypt(p2, a)
	require.Equal(t, ErrDecrypt, err)

	for _, q := range []Query{{Sum, "bmi", nil}, {Mean, "bmi", NewRowSet(0, 1, 2)}, {Count, "bmi", nil}} {
		p3, err := NewPlan(q, c)
		require.NoError(t, err)
		_, err = k.Decrypt(p3, a)
		require.Equal(t, ErrDecrypt, err)
	}

	// A column whose tag does not fit gives no answer, even if the caller forgot Verify.
	forged, err := NewColumn(c.Bytes())
	require.NoError(t, err)
	forged.tag[0] ^= 1
	p4, err := NewPlan(Query{Mean, "bmi", nil}, forged)
	require.NoError(t, err)
	a4, err := Evaluate(t.Context(), p4, forged)
	require.NoError(t, err)
	_, err = k.Decrypt(p4, a4)
	require.Equal(t, ErrDecrypt, err)
}

// Behind the friendly check: the mathematics under a wrong key gives neither the blocks nor the answer.
func TestAWrongKeyGivesNothing(t *testing.T) {
	k, other := newTestKey(t), newTestKey(t)
	p, a, c := answered(t, k, Count, nil)
	b := c.blocks[0]
	m, _, ok := k.decryptAll(b.parts[partPresence], c.place(b, partPresence))
	require.True(t, ok)
	require.Equal(t, []uint64{1, 1, 1, 0}, m[:4])
	got, _, ok := other.decryptAll(b.parts[partPresence], c.place(b, partPresence))
	require.False(t, ok)
	same := 0
	for i := range m {
		if m[i] == got[i] {
			same++
		}
	}
	require.Less(t, same, 4, "agreement by chance has probability 2^-40 a coefficient")

	_, err := other.open(c, b)
	require.Equal(t, ErrDecrypt, err)
	v, _, ok := other.decryptNumber(a.numbers[0], p.slots)
	require.False(t, ok && v >= 0 && v <= 3, "passes by chance with probability 2^-38")

	// The key belongs to the right place too: c1 is expanded for another block, version, part or column.
	for _, at := range []place{
		{ProfileSum, k.ID(), "bmi", partValue, 0, 1}, {ProfileSum, k.ID(), "bmi", partPresence, 1, 1},
		{ProfileSum, k.ID(), "bmi", partPresence, 0, 2}, {ProfileSum, k.ID(), "sbp", partPresence, 0, 1},
	} {
		_, _, ok = k.decryptAll(&sealed{seed: b.parts[partPresence].seed, c0: b.parts[partPresence].c0}, at)
		require.False(t, ok, "%+v", at)
	}
}

// Altered numbers that become impossible are refused.
func TestImpossibleAnswersFail(t *testing.T) {
	k := newTestKey(t)
	rng := rand.New(rand.NewPCG(7, 8))
	p, a, _ := answered(t, k, Mean, NewRowSet(0, 1, 9))
	l := k.k.lat
	alter := func(i int, f func(*number)) error {
		bad := *a
		bad.numbers = slices.Clone(a.numbers)
		n := number{bad.numbers[i].c0, slices.Clone(bad.numbers[i].c1)}
		f(&n)
		bad.numbers[i] = n
		_, err := k.Decrypt(p, &bad)
		return err
	}
	require.NoError(t, alter(0, func(*number) {}))
	// plus adds m to the message: after lowering the message is m/q1, so (m/q1 mod T)/T mod q0 is added.
	plus := func(m int64) func(*number) {
		return func(n *number) {
			t := new(big.Int).SetUint64(l.t)
			q0 := new(big.Int).SetUint64(l.q[0])
			v := new(big.Int).ModInverse(new(big.Int).SetUint64(l.q[1]), t)
			v.Mul(v, big.NewInt(m)).Mod(v, t).Mul(v, new(big.Int).ModInverse(t, q0)).Mod(v, q0)
			n.c0 = (n.c0 + v.Uint64()) % l.q[0]
		}
	}
	require.Equal(t, ErrDecrypt, alter(1, plus(1)), "3 values among 2 covered rows")
	require.Equal(t, ErrDecrypt, alter(1, plus(-3)), "a negative count")
	require.Equal(t, ErrDecrypt, alter(0, plus(-301)), "a negative sum")
	require.Equal(t, ErrDecrypt, alter(0, plus(701)), "a sum above count * range")
	require.Equal(t, ErrDecrypt, alter(1, plus(-2)), "a sum without values")
	for range 20 {
		// Each passes by chance with probability 2^-39: |w| in its bound and a count of 0 to 2 among 2^40.
		require.Equal(t, ErrDecrypt, alter(1, func(n *number) { n.c0 = rng.Uint64N(l.q[0]) }))
		require.Equal(t, ErrDecrypt, alter(1, func(n *number) {
			for i := range n.c1 {
				n.c1[i] = rng.Uint64N(l.q[0])
			}
		}))
	}
	short := *a
	short.numbers = a.numbers[:1]
	_, err := k.Decrypt(p, &short)
	require.Equal(t, ErrDecrypt, err)

	// The documentation says that a possible alteration does not show. If this line fails one day, rewrite it.
	require.NoError(t, alter(0, plus(5)))
}

func TestCraftedBlocksFail(t *testing.T) {
	k := newTestKey(t)
	c, err := k.EncryptColumn(bmi, []Value{{0, 20}, {1, 30}})
	require.NoError(t, err)
	b := c.blocks[0]
	for name, change := range map[string]struct {
		part, row int
		value     uint64
	}{
		"x' above the range":        {partValue, 0, 501},
		"x' of a missing row":       {partValue, 5, 1},
		"presence 2":                {partPresence, 0, 2},
		"presence beyond next":      {partPresence, 2, 1},
		"presence without a bucket": {firstBucket + 1, 0, 0},
		"the wrong bucket":          {firstBucket + 2, 0, 1},
		"bucket 2":                  {firstBucket + 1, 0, 2},
		"bucket of a missing row":   {firstBucket + 1, 5, 1},
	} {
		slots, err := k.open(c, b)
		require.NoError(t, err)
		m := c.schema.message(slots, change.part)
		require.NotEqual(t, change.value, m[change.row], name)
		m[change.row] = change.value
		bad := &block{index: b.index, version: b.version, parts: slices.Clone(b.parts)}
		bad.parts[change.part] = k.encrypt(m, c.place(b, change.part))
		_, err = k.open(c, bad)
		require.Equal(t, ErrDecrypt, err, name)
	}
}

// A row that no one gave a position must not come back, however consistent it is; and a ciphertext that is right modulo the
// first prime only is not right.
func TestBlocksBeyondTheirRowsAndHalfRightOnesFail(t *testing.T) {
	k := newTestKey(t)
	s := bmi
	s.Edges = nil
	c, err := k.EncryptColumn(s, []Value{{0, 20}, {1, 30}})
	require.NoError(t, err)
	b := c.blocks[0]
	slots, err := k.open(c, b)
	require.NoError(t, err)
	slots[2] = slot{x: 5, present: true}
	bad := &block{index: b.index, version: b.version}
	for part := range b.parts {
		bad.parts = append(bad.parts, k.encrypt(c.schema.message(slots, part), c.place(b, part)))
	}
	_, err = k.open(c, bad)
	require.Equal(t, ErrDecrypt, err)
	c.next = 3
	_, err = k.open(c, bad)
	require.NoError(t, err)

	half := &sealed{seed: b.parts[0].seed, c0: poly{b.parts[0].c0[0], slices.Clone(b.parts[0].c0[1])}}
	half.c0[1][7] ^= 1
	_, _, ok := k.decryptAll(half, c.place(b, 0))
	require.False(t, ok)
}

// Measured noise stays within the proof, and the worst case that the proof allows still decrypts.
func TestNoiseIsBelowItsProof(t *testing.T) {
	k := newTestKey(t)
	l := k.k.lat
	rng := rand.New(rand.NewPCG(9, 10))
	s := bmi
	s.Edges = nil
	values := randomValues(rng, s, 4*blockRows)
	c, err := k.EncryptColumn(s, values)
	require.NoError(t, err)
	ref := newReference(t, s, values)
	_, sum, _ := ref.answer(nil)

	var total, squares int64
	for _, b := range c.blocks {
		_, e, ok := k.decryptAll(b.parts[partValue], c.place(b, partValue))
		require.True(t, ok)
		_, other, ok := k.decryptAll(b.parts[partPresence], c.place(b, partPresence))
		require.True(t, ok)
		require.NotEqual(t, e, other)
		for _, v := range e {
			total += v
			squares += v * v
		}
	}
	// Without its errors a ciphertext is linear algebra. A square of an error has mean 10.5 and a standard deviation of 14.7,
	// their mean over 2^14 one of 0.115: false alarm below 1e-16.
	require.InDelta(t, 10.5, float64(squares)/float64(c.slots()), 1)
	require.LessOrEqual(t, big.NewInt(total).CmpAbs(noiseBound(c.slots())), 0)
	require.Less(t, max(total, -total), int64(7*4*128), "8.6 standard deviations of a sum of 2^14 errors, sqrt(10.5*2^14) = 415: false alarm below 1e-16")

	p, err := NewPlan(Query{Sum, "bmi", nil}, c)
	require.NoError(t, err)
	a, err := Evaluate(t.Context(), p, c)
	require.NoError(t, err)
	m, w, ok := k.decryptNumber(a.numbers[0], p.slots)
	require.True(t, ok)
	require.Equal(t, sum, m)
	bound := l.loweredBound(new(big.Int).Mul(noiseBound(p.slots), new(big.Int).SetUint64(l.t)))
	require.Negative(t, big.NewInt(w).CmpAbs(bound))

	// Every error at its maximum: c0 gets eta - e added, coefficient by coefficient.
	for _, b := range c.blocks {
		_, e, _ := k.decryptAll(b.parts[partValue], c.place(b, partValue))
		for i := range e {
			e[i] = errorBound - e[i]
		}
		worst := &sealed{seed: b.parts[partValue].seed, c0: l.signed(e)}
		l.add(worst.c0, b.parts[partValue].c0)
		_, e, ok = k.decryptAll(worst, c.place(b, partValue))
		require.True(t, ok)
		require.Equal(t, int64(errorBound), slices.Min(e))
		b.parts[partValue] = worst
	}
	a, err = Evaluate(t.Context(), p, c)
	require.NoError(t, err)
	m, _, ok = k.decryptNumber(a.numbers[0], p.slots)
	require.True(t, ok)
	require.Equal(t, sum, m)
}

// (r0 - d)/q1 is exact with |d| <= q1/2, for every pair of residues.
func TestLoweringRoundsToTheNearest(t *testing.T) {
	l, err := sumLattice()
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(11, 12))
	q0, q1 := new(big.Int).SetUint64(l.q[0]), new(big.Int).SetUint64(l.q[1])
	edge := func(q uint64) uint64 {
		return []uint64{0, 1, q / 2, q/2 + 1, q - 1, rng.Uint64N(q)}[rng.IntN(6)]
	}
	for range 20000 {
		r0, r1 := edge(l.q[0]), edge(l.q[1])
		out := l.lower(r0, r1)
		require.Less(t, out, l.q[0])
		// x = out*q1 + d must have the residues r0 and r1 for the centred d.
		d := big.NewInt(centre(r1, l.q[1]))
		x := new(big.Int).Mul(new(big.Int).SetUint64(out), q1)
		x.Add(x, d)
		require.Equal(t, r0, new(big.Int).Mod(x, q0).Uint64())
		require.Equal(t, r1, new(big.Int).Mod(x, q1).Uint64())
	}
}

// What this package encrypts is BGV: lattigo's own decryption, given our secret, reads it.
func TestLattigoDecryptsOurCiphertexts(t *testing.T) {
	k := newTestKey(t)
	l := k.k.lat
	rng := rand.New(rand.NewPCG(13, 14))
	m := make([]uint64, l.n())
	for i := range m {
		m[i] = rng.Uint64N(l.t)
	}
	at := place{ProfileSum, k.ID(), "x", 0, 0, 1}
	c := k.encrypt(m, at)

	pr, err := bgv.NewParametersFromLiteral(bgv.ParametersLiteral{LogN: l.logN, Q: l.q, PlaintextModulus: l.t})
	require.NoError(t, err)
	sk := rlwe.NewSecretKey(pr)
	ct := bgv.NewCiphertext(pr, 1, pr.MaxLevel())
	c0 := l.newPoly()
	for j := range l.q {
		copy(sk.Value.Q.Coeffs[j], k.k.sMont[j])
		copy(c0[j], c.c0[j])
	}
	l.ntt(c0)
	for j := range l.q {
		copy(ct.Value[0].Coeffs[j], c0[j])
		copy(ct.Value[1].Coeffs[j], c.expanded(l, at)[j])
	}
	ct.IsBatched = false
	pt := rlwe.NewDecryptor(pr, sk).DecryptNew(ct)
	got := make([]uint64, l.n())
	require.NoError(t, bgv.NewEncoder(pr).Decode(pt, got))
	require.Equal(t, m, got)
}

func TestOneColumnFromManySides(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	k := newTestKey(t)
	values := randomValues(rng, bmi, 20000)
	c, err := k.EncryptColumn(bmi, values)
	require.NoError(t, err)
	c, err = NewColumn(c.Bytes()) // nothing expanded yet
	require.NoError(t, err)
	ref := newReference(t, bmi, values)
	shared := randomSet(rng, 5000, 20000)
	count, sum, buckets := ref.answer(shared)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			switch i % 4 {
			case 0:
				r := ask(t, k, c, Mean, shared)
				if r.ExposeCount() != count || r.ExposeSum() != sum {
					t.Errorf("mean: %d %d", r.ExposeCount(), r.ExposeSum())
				}
			case 1:
				if got := ask(t, k, c, Histogram, shared).ExposeBuckets(); !slices.Equal(got, buckets) {
					t.Errorf("histogram: %v", got)
				}
			case 2:
				if err := k.Verify(c); err != nil {
					t.Error(err)
				}
				_ = c.Bytes()
			case 3:
				more, err := k.Append(c, []Value{{uint32(20000 + i), 60}})
				if err != nil || more.Next() != uint64(20001+i) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestEvaluationStopsWithItsContext(t *testing.T) {
	k := newTestKey(t)
	p, _, c := answered(t, k, Mean, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Evaluate(ctx, p, c)
	require.ErrorIs(t, err, context.Canceled)
}

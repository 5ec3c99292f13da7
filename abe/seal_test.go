package abe

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/veilchart/veilchart/internal/pairing"
)

func denied(t testing.TB, err error, kind DeniedKind) *DeniedError {
	var d *DeniedError
	require.ErrorAs(t, err, &d)
	require.ErrorIs(t, err, ErrDecrypt)
	require.Equal(t, kind, d.Kind)
	return d
}

// mathematicsRefuses requires ErrDecrypt and that no friendly check said so.
func mathematicsRefuses(t testing.TB, err error, msg ...any) {
	require.ErrorIs(t, err, ErrDecrypt, msg...)
	require.NotErrorAs(t, err, new(*DeniedError), msg...)
}

func TestSealOpenProperty(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a", "b", "c")
	policies := []*Policy{parsePolicy(t, "a"), parsePolicy(t, "a and (b or x)"), parsePolicy(t, "2 of (x, b, c)"), parsePolicy(t, "(a or b) and (a or c)")}
	rapid.Check(t, func(t *rapid.T) {
		policy := rapid.SampledFrom(policies).Draw(t, "policy")
		plaintext := rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext")
		opts := &Options{AssociatedData: rapid.SliceOf(rapid.Byte()).Draw(t, "associated")}
		if rapid.Bool().Draw(t, "companion") {
			opts.Companion = rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
			opts.Companion[0] |= 0x80 // zeros are refused, after the change below too
		}
		sealed, err := a.Params().Seal(policy, plaintext, opts)
		require.NoError(t, err)
		got, err := k.Open(sealed, opts)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plaintext, got))

		h, err := Inspect(sealed)
		require.NoError(t, err)
		require.Equal(t, policy.String(), h.Policy.String())
		require.Equal(t, a.Params().Authority(), h.Authority)
		require.InDelta(t, int(DayOf(time.Now())), int(h.Day), 1)
		require.Equal(t, []any{uint8(2), FABEO, false}, []any{h.Version, h.Suite, h.Hybrid})
		require.Equal(t, opts.Companion != nil, h.NeedsCompanion)
		require.Empty(t, h.RecordID)
		require.Equal(t, len(sealed), h.Size+payloadHead+len(plaintext)+tagSize)

		other := *opts
		other.AssociatedData = append(bytes.Clone(opts.AssociatedData), 'x')
		_, err = k.Open(sealed, &other)
		require.ErrorIs(t, err, ErrDecrypt)
		if opts.Companion != nil {
			other = *opts
			other.Companion = bytes.Clone(opts.Companion)
			other.Companion[rapid.IntRange(0, 31).Draw(t, "at")] ^= 1
			_, err = k.Open(sealed, &other)
			require.ErrorIs(t, err, ErrDecrypt)
		}
	})
}

// Objects of all sizes around one and two segments, sealed and opened at once and as streams, each way with each other.
func TestSizesAndStreamsAgree(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a")
	policy := parsePolicy(t, "a")
	opts := &Options{AssociatedData: []byte("ad"), Companion: bytes.Repeat([]byte{1}, 32)}
	for _, n := range []int{0, 1, oneSegment - 1, oneSegment, oneSegment + 1, oneSegment + segmentSize - tagSize, oneSegment + segmentSize - tagSize + 1, 3 << 20} {
		plaintext := make([]byte, n)
		for i := range plaintext {
			plaintext[i] = byte(i >> 8)
		}
		sealed, err := a.Params().Seal(policy, plaintext, opts)
		require.NoError(t, err)
		var stream bytes.Buffer
		w, err := a.Params().Encrypt(&stream, policy, opts)
		require.NoError(t, err)
		for rest := plaintext; len(rest) > 0; { // in uneven pieces
			m := min(len(rest), 333_333)
			_, err := w.Write(rest[:m])
			require.NoError(t, err)
			rest = rest[m:]
		}
		require.NoError(t, w.Close())
		require.Equal(t, len(sealed), stream.Len(), "one format")
		for _, object := range [][]byte{sealed, stream.Bytes()} {
			got, err := k.Open(object, opts)
			require.NoError(t, err, "%d bytes", n)
			require.True(t, bytes.Equal(plaintext, got))
			r, err := k.Decrypt(bytes.NewReader(object), opts)
			require.NoError(t, err)
			got, err = io.ReadAll(r)
			require.NoError(t, err, "%d bytes", n)
			require.True(t, bytes.Equal(plaintext, got))
		}
	}
}

func TestFriendlyChecks(t *testing.T) {
	a, other := generate(t), generate(t)
	k := issue(t, a, "b")
	policy := parsePolicy(t, "a and b")
	sealed, err := a.Params().Seal(policy, []byte("x"), nil)
	require.NoError(t, err)
	_, err = k.Open(sealed, nil)
	d := denied(t, err, DeniedPolicy)
	require.Equal(t, []string{"a"}, d.Explanation.Missing)
	require.ErrorContains(t, err, "needs a")

	whole := issue(t, a, "a", "b")
	_, err = whole.Open(sealed, &Options{Companion: bytes.Repeat([]byte{6}, 32)})
	denied(t, err, DeniedNoCompanion)
	_, err = issue(t, other, "a", "b").Open(sealed, nil)
	denied(t, err, DeniedAuthority)
	withCompanion, err := a.Params().Seal(policy, []byte("x"), &Options{Companion: bytes.Repeat([]byte{6}, 32)})
	require.NoError(t, err)
	_, err = whole.Open(withCompanion, nil)
	denied(t, err, DeniedCompanion)
	for kind := DeniedKind(0); kind < 10; kind++ {
		require.Contains(t, (&DeniedError{Kind: kind}).Error(), "abe: ")
	}

	// Behind the check: the flag, the fingerprint and the policy are bound by the mathematics.
	flag := bytes.Clone(withCompanion)
	flag[fixedSize+32+8] = 0
	_, err = whole.Open(flag, nil)
	mathematicsRefuses(t, err)
	foreign, err := other.Params().Seal(policy, []byte("x"), nil)
	require.NoError(t, err)
	id := a.Params().Authority()
	copy(foreign[fixedSize:], id[:])
	_, err = whole.Open(foreign, nil)
	mathematicsRefuses(t, err)
	weaker := bytes.Replace(sealed, []byte("a and b"), []byte("b and b"), 1)
	_, err = k.Open(weaker, nil)
	require.Error(t, err)
	easier, err := a.Params().Seal(parsePolicy(t, "a or b"), []byte("x"), nil)
	require.NoError(t, err)
	swapped := bytes.Replace(easier, []byte("a or b"), []byte("b or c"), 1)
	_, err = k.Open(swapped, nil)
	mathematicsRefuses(t, err)
}

func TestSealRefuses(t *testing.T) {
	a := generate(t)
	params, policy := a.Params(), parsePolicy(t, "a")
	_, err := params.Seal(nil, nil, nil)
	require.ErrorContains(t, err, "no policy")
	_, err = params.Seal(new(Policy), nil, nil)
	require.ErrorContains(t, err, "no policy")
	_, err = params.Encrypt(io.Discard, nil, nil)
	require.ErrorContains(t, err, "no policy")
	_, err = params.SealMany(nil, nil, nil)
	require.ErrorContains(t, err, "no policy")
	sealed, err := params.Seal(policy, nil, nil)
	require.NoError(t, err)
	k := issue(t, a, "a")
	for _, c := range []struct {
		companion []byte
		want      string
	}{
		{[]byte{}, "empty"}, {make([]byte, 0, 32), "empty"}, {make([]byte, 32), "wiped"},
		{make([]byte, 1), "32"}, {bytes.Repeat([]byte{1}, 31), "32"}, {bytes.Repeat([]byte{1}, 33), "32"},
	} {
		opts := &Options{Companion: c.companion}
		_, err = params.Seal(policy, nil, opts)
		require.ErrorContains(t, err, c.want)
		_, err = params.SealMany(policy, nil, opts)
		require.ErrorContains(t, err, c.want)
		_, err = params.Encrypt(io.Discard, policy, opts)
		require.ErrorContains(t, err, c.want)
		_, err = k.Open(sealed, opts)
		require.ErrorContains(t, err, c.want)
		require.NotErrorIs(t, err, ErrDecrypt, "the caller's mistake, not the object's")
		_, err = k.Decrypt(bytes.NewReader(sealed), opts)
		require.ErrorContains(t, err, c.want)
	}
	for _, zeros := range []int{0, 31} { // one bit makes a key
		companion := make([]byte, 32)
		companion[zeros] = 1
		_, err = params.Seal(policy, nil, &Options{Companion: companion})
		require.NoError(t, err)
	}
	for _, ids := range [][]string{
		{""}, {"a", "b", "a"}, {strings.Repeat("a", 257)}, {"\xff"},
		{"a\x00"}, {"\x1b[2J"}, {"a\nb"}, {"a\tb"}, {"\u202e"}, {"\u200b"}, {"\u00a0"}, {"\ufeff"}, {"\ufffd"}, {"\u0085"}, {"\u2028"}, {"\U000e0041"}, {"\u0378"},
	} {
		var records []Record
		for _, id := range ids {
			records = append(records, Record{ID: id})
		}
		_, err := params.SealMany(policy, records, nil)
		require.ErrorContains(t, err, "id", "%q", ids)
	}
	_, err = params.SealMany(policy, []Record{{ID: "Ärztin 17/obs-1 \"日本\" \\"}, {ID: strings.Repeat("a", 256)}}, nil)
	require.NoError(t, err)
	none, err := params.SealMany(policy, nil, nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestSealMany(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a")
	companion := bytes.Repeat([]byte{9}, 32)
	var records []Record
	for i := range 5 {
		records = append(records, Record{ID: fmt.Sprint("record ", i), Plaintext: []byte{byte(i)}, AssociatedData: []byte(fmt.Sprint("ad", i))})
	}
	sealed, err := a.Params().SealMany(parsePolicy(t, "a or b"), records, &Options{Companion: companion})
	require.NoError(t, err)
	require.Len(t, sealed, 5)
	for i, object := range sealed {
		opts := &Options{AssociatedData: records[i].AssociatedData, Companion: companion}
		got, err := k.Open(object, opts)
		require.NoError(t, err)
		require.Equal(t, records[i].Plaintext, got)
		h, err := Inspect(object)
		require.NoError(t, err)
		require.Equal(t, records[i].ID, h.RecordID)
		require.True(t, h.NeedsCompanion)
		_, err = k.Open(object, &Options{AssociatedData: []byte("ad9"), Companion: companion})
		mathematicsRefuses(t, err)
	}
	first, err := decodeHeader(sealed[0])
	require.NoError(t, err)
	second, err := decodeHeader(sealed[1])
	require.NoError(t, err)
	require.Equal(t, first.core, second.core, "one encapsulation")
	require.NotEqual(t, first.commit, second.commit, "a payload key each")

	// A tail belongs to its id, a payload to its tail.
	opts := &Options{AssociatedData: records[0].AssociatedData, Companion: companion}
	renamed := bytes.Replace(sealed[0], []byte("record 0"), []byte("record 1"), 1)
	_, err = k.Open(renamed, opts)
	mathematicsRefuses(t, err)
	tail := first.Size - closingSize
	moved := append(append(bytes.Clone(sealed[0][:tail]), sealed[1][tail:first.Size]...), sealed[0][first.Size:]...)
	_, err = k.Open(moved, opts)
	mathematicsRefuses(t, err)
	mixed := append(bytes.Clone(sealed[0][:first.Size]), sealed[1][second.Size:]...)
	_, err = k.Open(mixed, &Options{AssociatedData: records[1].AssociatedData, Companion: companion})
	mathematicsRefuses(t, err)
	bare := append(bytes.Clone(first.core), 0, 0, 0, 0) // the id cut out
	bare = append(append(bare, sealed[0][tail:first.Size]...), sealed[0][first.Size:]...)
	_, err = k.Open(bare, opts)
	mathematicsRefuses(t, err)
}

// The commitment holds: a tail that wraps a key other than the committed one is refused, although the wrapping is authentic.
func TestCommitmentIsChecked(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a")
	policy := parsePolicy(t, "a")
	core, K := encapsulate(t, a.Params(), policy)
	object, key := makeHeader(core, K, "", nil, 0)
	commit := commitment([keySize]byte{1}, nil)
	copy(object[len(object)-keySize:], commit[:])
	object, err := appendPayload(object, key, []byte("x"), nil)
	require.NoError(t, err)
	_, err = k.Open(object, nil)
	mathematicsRefuses(t, err)
}

func TestDecodeHeaderRefuses(t *testing.T) {
	a := generate(t)
	sealed, err := a.Params().SealMany(parsePolicy(t, "a or b"), []Record{{ID: "id"}}, nil)
	require.NoError(t, err)
	good := sealed[0]
	h, err := decodeHeader(good)
	require.NoError(t, err)
	text := fixedSize + 32 + 8 + 1
	with := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	set := func(at int, v byte) []byte { return with(func(b []byte) []byte { b[at] = v; return b }) }
	resized := func(old, new string) []byte { // another policy text, with lengths that fit it
		return with(func(b []byte) []byte {
			b = bytes.Replace(b, append(binary.BigEndian.AppendUint32(nil, uint32(len(old))), old...), append(binary.BigEndian.AppendUint32(nil, uint32(len(new))), new...), 1)
			size := binary.BigEndian.Uint32(b[8:]) + uint32(len(new)-len(old))
			binary.BigEndian.PutUint32(b[8:], size)
			return b
		})
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":                 {nil, "truncated"},
		"another magic":         {set(0, 'x'), "magic"},
		"another kind":          {set(5, 3), "abe key"},
		"version 3":             {set(6, 3), "version 3"},
		"suite 3":               {set(7, 3), "suite 3"},
		"suite 2, version 1":    {with(func(b []byte) []byte { b[6], b[7] = 1, 2; return b }), "suite 2 is not known here in version 1"},
		"core over the limit":   {set(9, 0xff), "limit"},
		"core too long":         {set(11, good[11]+1), "the header says"},
		"core too short":        {set(11, good[11]-1), "the header says"},
		"no day":                {with(func(b []byte) []byte { b[text-3], b[text-2] = 0, 0; return b }), "day 0"},
		"day after the last":    {set(text-4, 1), "is no sealing day"},
		"unknown flag":          {set(text-1, 2), "flags"},
		"policy over the limit": {set(text+2, 0xff), "limit"},
		"no policy":             {resized("a or b", ""), "policy"},
		"bad policy":            {resized("a or b", "a or or"), "policy"},
		"policy with spaces":    {resized("a or b", "a or  b"), "canonical"},
		"policy with one leaf":  {resized("a or b", "a"), "the header says"},
		"ML-KEM part":           {set(text+4+6+4+3, 1), "1088"},
		"ML-KEM part too long":  {set(text+4+6+4+2, 5), "limit"},
		"record id too long":    {set(len(h.core)+2, 2), "limit"},
		"record id no UTF-8":    {set(len(h.core)+4, 0xff), "record id"},
		"record id invisible":   {set(len(h.core)+4, 0x1b), "record id"},
		"cut":                   {good[:h.Size-1], "truncated"},
	} {
		_, err := Inspect(c.b)
		require.ErrorIs(t, err, ErrFormat, name)
		require.ErrorContains(t, err, c.want, name)
		_, err = readHeader(&watched{r: bytes.NewReader(c.b)})
		require.ErrorIs(t, err, ErrFormat, "%s, as a stream", name)
	}
	cut, err := Inspect(good[:h.Size])
	require.NoError(t, err)
	require.Equal(t, h.Size, cut.Size)
}

// One key, one Params, many goroutines: for the race detector.
func TestConcurrentUse(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a", "b")
	policies := []*Policy{parsePolicy(t, "a"), parsePolicy(t, "b or c"), parsePolicy(t, "a and b")}
	var wg sync.WaitGroup
	failures := make(chan error, 100)
	for i := range 4 {
		wg.Go(func() {
			for j := range 6 {
				sealed, err := a.Params().Seal(policies[(i+j)%len(policies)], []byte("x"), nil)
				if err == nil {
					_, err = k.Open(sealed, nil)
				}
				if err != nil {
					failures <- err
				}
			}
		})
	}
	wg.Wait()
	close(failures)
	require.NoError(t, <-failures)
}

func TestHashCacheForgetsTheOldest(t *testing.T) {
	c := newHashCache()
	l := lru[int]{max: 2}
	u := func(i int) atom { return Attribute{Name: "x", Value: fmt.Sprint("v", i)}.atom() }
	l.put(u(1), 1)
	l.put(u(2), 2)
	_, ok := l.get(u(1))
	require.True(t, ok)
	l.put(u(3), 3)
	_, ok = l.get(u(2))
	require.False(t, ok, "the oldest is gone")
	l.put(u(1), 11)
	v, ok := l.get(u(1))
	require.True(t, ok)
	require.Equal(t, 11, v)
	require.Len(t, l.entries, 2)
	require.Equal(t, 2, l.order.Len())

	// With and without a table, the same product.
	x := coins{xof(labelCoins, []byte("seed"))}.scalar()
	want := c.point(u(1)).Mul(x)
	for range 3 * tableAfter {
		require.True(t, want.Equal(c.mul(u(1), x)))
	}
	require.Len(t, c.tables.entries, 1)
}

// Zero values are refused where there is an error to return, and explain nothing.
func TestZeroValues(t *testing.T) {
	a := generate(t)
	policy := parsePolicy(t, "a")
	sealed, err := a.Params().Seal(policy, nil, nil)
	require.NoError(t, err)
	for _, k := range []*Key{nil, new(Key)} {
		_, err := k.Open(sealed, nil)
		require.ErrorContains(t, err, "no key")
		_, err = k.Decrypt(bytes.NewReader(sealed), nil)
		require.ErrorContains(t, err, "no key")
	}
	for _, p := range []*Params{nil, new(Params)} {
		_, err := p.Seal(policy, nil, nil)
		require.ErrorContains(t, err, "no params")
		_, err = p.SealMany(policy, []Record{{ID: "r"}}, nil)
		require.ErrorContains(t, err, "no params")
		_, err = p.Encrypt(io.Discard, policy, nil)
		require.ErrorContains(t, err, "no params")
		require.ErrorContains(t, p.EncryptFrom(io.Discard, bytes.NewReader(nil), policy, nil), "no params")
	}
	for _, a := range []*Authority{nil, new(Authority)} {
		_, err := a.IssueKey(always, Attribute{Name: "a"})
		require.ErrorContains(t, err, "no authority")
		_, err = a.WithVocabulary(nil)
		require.ErrorContains(t, err, "no authority")
	}
	for _, p := range []*Policy{nil, new(Policy)} {
		require.Empty(t, p.String())
		e := Explain(p, nil, flags("a"))
		require.False(t, e.Granted)
		require.Contains(t, e.String(), "refused: there is no policy")
		_, err := p.MarshalText()
		require.ErrorContains(t, err, "no policy")
	}
}

// What a header shows in JSON is the policy as a text, and it is read back.
func TestHeaderInJSON(t *testing.T) {
	a := generate(t)
	leap := DayOf(time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC))
	sealed, err := a.Params().Seal(parsePolicy(t, `a and dept = "intensive  care"`), nil, &Options{Day: leap})
	require.NoError(t, err)
	h, err := Inspect(sealed)
	require.NoError(t, err)
	out, err := json.Marshal(h)
	require.NoError(t, err)
	require.Contains(t, string(out), `"Policy":"a and dept = \"intensive  care\""`)
	var again Header
	require.NoError(t, json.Unmarshal(out, &again))
	require.Equal(t, h.Policy.String(), again.Policy.String())
	require.Equal(t, h.Authority, again.Authority)
	require.Contains(t, string(out), `"Day":"2024-02-29"`)
	require.Equal(t, h.Day, again.Day)
	// The policy that was read is whole: it seals, and its matrix is there.
	sealed, err = a.Params().Seal(again.Policy, []byte("x"), nil)
	require.NoError(t, err)
	k, err := a.IssueKey(always, Attribute{Name: "a"}, Attribute{Name: "dept", Value: "intensive  care"})
	require.NoError(t, err)
	got, err := k.Open(sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "x", string(got))

	var p Policy
	var syntax *SyntaxError
	require.ErrorAs(t, json.Unmarshal([]byte(`"a and"`), &p), &syntax)
	require.Equal(t, 5, syntax.Offset)
	require.Empty(t, p.String())
}

// A header is inspected and refused without the share matrix, which is large for "255 of 256".
func TestHeadersCostNoMatrix(t *testing.T) {
	p := parsePolicy(t, "255 of ("+numbered(256)+")")
	p.formula().matrix = func() ([]row, int) { t.Fatal("the matrix was built"); return nil, 0 }
	require.Equal(t, keySize+2*pairing.G2Size+256*pairing.G1Size, fabeoBodySize(p.formula().leaves(), p.formula().tau()))
	_, ok := p.formula().satisfy(func(atom) bool { return true })
	require.True(t, ok)
	require.False(t, Explain(p, nil, nil).Granted)
	rapid.Check(t, func(t *rapid.T) {
		tree := rapid.Custom(func(t *rapid.T) *tree { return drawTree(t, 30, 4) }).Filter(func(drawn *tree) bool {
			return drawn.leaves() <= 60 // the text of more may be too long
		}).Draw(t, "tree")
		p, err := ParsePolicy(tree.text(drawPattern(t, tree.leaves())))
		require.NoError(t, err)
		require.Equal(t, keySize+pairing.G2Size*(1+p.formula().tau())+pairing.G1Size*len(p.formula().rows()), fabeoBodySize(p.formula().leaves(), p.formula().tau()))
	})
}

// Seal's documentation says how long an object is.
func TestOverhead(t *testing.T) {
	a := generate(t)
	for _, c := range []struct{ leaves, uses int }{{1, 1}, {6, 1}, {2, 2}, {20, 16}} {
		names := make([]string, c.leaves)
		for i := range names {
			names[i] = fmt.Sprint("a", max(0, i-c.uses+1))
		}
		p := parsePolicy(t, strings.Join(names, " and "))
		require.Equal(t, c.uses, p.formula().tau())
		for _, n := range []int{0, 1000, oneSegment, oneSegment + 1} {
			sealed, err := a.Params().Seal(p, make([]byte, n), nil)
			require.NoError(t, err)
			want := 813 + len(p.String()) + 48*c.leaves + 96*(c.uses-1) + n
			if n > oneSegment {
				want += 16
			}
			require.Len(t, sealed, want)
		}
	}
}

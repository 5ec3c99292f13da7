package abe

import (
	"bytes"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cloudflare/circl/abe/cpabe/tkn20"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func generateTKN(t testing.TB) *Authority {
	a, err := GenerateAuthority(TKN20, nil)
	require.NoError(t, err)
	return a
}

// What circl makes of a policy is what the layout says, for every shape of formula: its parser, its numbering and its sizes.
func TestTKN20LayoutIsCirclsOwn(t *testing.T) {
	a := generateTKN(t)
	pub := a.Params().public.(*tkn20Public)
	for _, text := range []string{"a", "a and b", "a or b", "a or b or c", "2 of (a, b, c)", "3 of (a, b, c, d, e)", "a and (b or c) and a", "2 of (a, b and c, 2 of (a, d, e))", "(a or b) and (a or c)"} {
		f := parsePolicy(t, text).onDay(testDay)
		body, sigma, err := pub.encapsulate(nil, f)
		require.NoError(t, err, text)
		size, err := pub.bodySize(f)
		require.NoError(t, err)
		require.Len(t, body, size)
		require.NotEqual(t, [keySize]byte{}, sigma)

		// By circl's own functions too.
		tree, err := newTKNTree(f)
		require.NoError(t, err)
		var inside, want tkn20.Policy
		require.NoError(t, inside.ExtractFromCiphertext(body))
		require.NoError(t, want.FromString(tree.circlPolicy()))
		require.True(t, inside.Equal(&want), text)
		require.Equal(t, tree.circlPolicy(), strings.ReplaceAll(strings.ReplaceAll(want.String(), ": ", ":"), "  ", " "), "%s", text)
	}
}

// holds says whether a set of atoms satisfies t.
func (t *tknTree) holds(have func(atom) bool) bool {
	switch {
	case t.isLeaf():
		return have(t.atom)
	case t.and:
		return t.left.holds(have) && t.right.holds(have)
	}
	return t.left.holds(have) || t.right.holds(have)
}

func (t *tknTree) check(tb testing.TB) {
	if t.isLeaf() {
		require.Equal(tb, []any{1, 0}, []any{t.leaves, t.height})
		return
	}
	t.left.check(tb)
	t.right.check(tb)
	require.Equal(tb, t.left.leaves+t.right.leaves, t.leaves)
	require.Equal(tb, 1+max(t.left.height, t.right.height), t.height)
}

// The tree of two-kid gates means what the formula means: for every set of attributes of trees up to isomorphism, and drawn ones.
func TestTKN20TreeMeansTheFormula(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for _, tree := range allTrees(n) {
			for _, pattern := range allReusePatterns(n) {
				f := tree.policy(t, pattern).formula()
				made, err := newTKNTree(f)
				require.NoError(t, err)
				made.check(t)
				for set := range uint(1) << (slices.Max(pattern) + 1) {
					require.Equal(t, tree.holds(pattern, set), made.holds(haveSet(set)))
				}
			}
		}
	}
	rng := mrand.New(mrand.NewPCG(7, 7))
	for range 200 {
		n := 5 + rng.IntN(6)
		tree := randomTree(rng, n)
		made, err := newTKNTree(tree.policy(t, distinct(n)).formula())
		require.NoError(t, err)
		made.check(t)
		for set := range uint(1) << n {
			require.Equal(t, tree.holds(distinct(n), set), made.holds(haveSet(set)))
		}
	}
}

// Sizes of "k of", and where they end: before any work, with an error that says what to do.
func TestTKN20Limits(t *testing.T) {
	size := func(text string) (int, error) {
		tree, err := newTKNTree(parsePolicy(t, text).formula())
		if err != nil {
			return 0, err
		}
		return tree.leaves, nil
	}
	for text, want := range map[string]int{"2 of (a, b, c)": 5, "2 of (a, b, c, d)": 8} {
		got, err := size(text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	for _, n := range []int{40, 256} {
		_, err := size(fmt.Sprintf("%d of (%s)", n/2, numbered(n)))
		require.ErrorContains(t, err, "more than 1024 leaves")
	}
	a := generateTKN(t)
	_, err := a.Params().Seal(parsePolicy(t, "20 of ("+numbered(40)+")"), nil, nil)
	require.ErrorContains(t, err, "FABEO")
	_, err = a.Params().Seal(parsePolicy(t, strings.ReplaceAll(numbered(200), ",", " and ")), nil, nil)
	require.ErrorContains(t, err, "fewer leaves")

	// A chain of gates with many kids each: deeper in circl than it reads.
	names := 0
	kids := func(n int) string {
		var parts []string
		for range n {
			names++
			parts = append(parts, fmt.Sprint("n", names))
		}
		return strings.Join(parts, " or ")
	}
	deep := "x"
	for i := range 15 {
		if i%2 == 0 {
			deep = "(" + deep + ") and " + strings.ReplaceAll(kids(16), " or ", " and ")
		} else {
			deep = "(" + deep + ") or " + kids(16)
		}
	}
	_, err = size(deep)
	require.ErrorContains(t, err, "nested too deeply")
	var many []Attribute
	for i := range maxTKN20Atoms {
		many = append(many, Attribute{Name: "x", Value: fmt.Sprint("v", i)})
	}
	_, err = a.IssueKey(always, many...)
	require.ErrorContains(t, err, "limit of TKN20 is 700")
}

// A header that shows one policy around a ciphertext for another: what is in circl's ciphertext decides nothing, and the object does not
// open for those whom either of the two admits.
func TestTKN20HeaderAndCiphertextAgree(t *testing.T) {
	a := generateTKN(t)
	k := issue(t, a, "a", "b")
	strict, harmless := parsePolicy(t, "a and b"), parsePolicy(t, "a or b")
	s, err := a.Params().sealer(strict, &Options{Day: testDay})
	require.NoError(t, err)
	f := harmless.onDay(testDay)
	body, sigma, err := s.public.encapsulate(nil, f)
	require.NoError(t, err)
	require.Equal(t, s.bodySize, len(body), "of one length, so that nothing else refuses")
	pre := s.appendPre(nil, nil)
	core := append(bytes.Clone(pre), body...)
	sealed, err := sealRecord(core, sharedKey(sigma, nil, nil, core), "", []byte("x"), nil)
	require.NoError(t, err)
	_, err = k.Open(sealed, nil)
	mathematicsRefuses(t, err)

	// Everything else fits: circl opens it, and with sigma the rest.
	message, err := k.in().secret.(*tkn20Key).key.Decrypt(body)
	require.NoError(t, err)
	h, err := decodeHeader(sealed)
	require.NoError(t, err)
	_, err = h.finish([keySize]byte(message), opening{})
	require.NoError(t, err)
}

// Nothing that arrives makes circl panic: its decoders see only what has the layout.
func TestTKN20EveryByteMatters(t *testing.T) {
	a := generateTKN(t)
	k := issue(t, a, "a", "b")
	sealed, err := a.Params().Seal(parsePolicy(t, "a or b"), []byte("x"), nil)
	require.NoError(t, err)
	every := 13 * everyByte()
	eachOnAllCores(t, len(sealed)/every, func(t *testing.T, rng *mrand.Rand, i int) {
		b := bytes.Clone(sealed)
		b[i*every] ^= 1 << rng.IntN(8)
		_, err := k.Open(b, nil)
		require.Error(t, err, "byte %d", i*every)
	})
	key, authority, params := k.ExposeSecret(), a.ExposeSecret(), a.Params().Bytes()
	changed := func(b []byte, decode func([]byte) error) {
		for i := 0; i < len(b); i += every {
			b := bytes.Clone(b)
			b[i] ^= 1
			require.ErrorIs(t, decode(b), ErrFormat, "byte %d", i)
		}
		for _, bad := range [][]byte{b[:len(b)-1], append(bytes.Clone(b), 0)} {
			require.ErrorIs(t, decode(bad), ErrFormat)
		}
	}
	changed(key, func(b []byte) error { _, err := NewKey(b); return err })
	changed(authority, func(b []byte) error { _, err := NewAuthority(b); return err })
	changed(params, func(b []byte) error { _, err := NewParams(b); return err })
}

// The identity is refused in every place of params, keys and ciphertexts, as under FABEO.
func TestTKN20RefusesTheIdentity(t *testing.T) {
	a := generateTKN(t)
	k := issue(t, a, "a")
	f := parsePolicy(t, "a").onDay(testDay)
	body, _, err := a.Params().public.encapsulate(nil, f)
	require.NoError(t, err)
	tree, err := newTKNTree(f)
	require.NoError(t, err)
	refuse := func(l *layout, good []byte) (places int) {
		require.True(t, l.fits(good))
		for _, h := range l.holes {
			for p := h.from; h.point > 0 && p < h.to; p += h.point {
				b := bytes.Clone(good)
				clear(b[p : p+h.point])
				b[p] = 0x40
				require.False(t, l.fits(b))
				places++
			}
		}
		return places
	}
	require.Equal(t, 8+6, refuse(tknPublicLayout(), a.Params().public.(*tkn20Public).encoding))
	require.Equal(t, 3+4+4*(5+1)+4, refuse(tknKeyLayout(keyAtoms(k.in().items, &always)), k.in().secret.(*tkn20Key).encoding))
	require.Equal(t, 4+4+3*(9+1), refuse(tknCiphertextLayout(tree), body))
	var pub tkn20.PublicKey
	b := bytes.Clone(a.Params().public.(*tkn20Public).encoding)
	clear(b[6 : 6+tknG2])
	b[6] = 0x40
	require.NoError(t, pub.UnmarshalBinary(b), "circl takes it")
	_, err = newTKN20Public(b)
	require.Error(t, err)
}

// layout.fits compares what is not a hole, whatever the holes are.
func TestLayoutFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := new(layout)
		for range rapid.IntRange(0, 5).Draw(t, "parts") {
			l.text(rapid.StringN(0, 3, 3).Draw(t, "text"))
			l.hole(rapid.IntRange(0, 3).Draw(t, "hole"))
		}
		b := bytes.Clone(l.bytes)
		require.True(t, l.fits(b))
		require.False(t, l.fits(append(bytes.Clone(b), 0)))
		if len(b) == 0 {
			return
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= 1
		free := slices.ContainsFunc(l.holes, func(h hole) bool { return h.from <= at && at < h.to })
		require.Equal(t, free, l.fits(b))
	})
}

// The labels are circl's words and nothing else, and two atoms have two.
func TestTKN20Labels(t *testing.T) {
	seen := map[string]bool{}
	for _, u := range append(dayAtoms(uint16(testDay)), Attribute{Name: "a"}.atom(), Attribute{Name: "a", Value: "a"}.atom(), Attribute{Name: "a", Value: "a", Kind: Not}.atom()) {
		label := tknLabel(u)
		require.Regexp(t, "^a[a-z2-7]{52}$", label)
		require.False(t, seen[label])
		seen[label] = true
	}
}

func FuzzTKN20Ciphertext(f *testing.F) {
	pub, key, err := tkn20.Setup(rand.Reader)
	require.NoError(f, err)
	encoding, err := pub.MarshalBinary()
	require.NoError(f, err)
	p, err := newTKN20Public(encoding)
	require.NoError(f, err)
	form := parsePolicy(f, "a or b").formula()
	s, err := (&tkn20Master{pub: p, key: key}).issue(form.atoms[:1])
	require.NoError(f, err)
	body, _, err := p.encapsulate(nil, form)
	require.NoError(f, err)
	f.Add(uint16(0), []byte{1})
	f.Add(uint16(len(body)-40), bytes.Repeat([]byte{0xc0}, 200))
	f.Fuzz(func(t *testing.T, at uint16, change []byte) {
		b := bytes.Clone(body)
		copy(b[int(at)%len(b):], change)
		_, err := s.decapsulate(nil, b, form, nil)
		if bytes.Equal(b, body) {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, ErrDecrypt)
		}
	})
}

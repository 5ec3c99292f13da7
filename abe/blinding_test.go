package abe

import (
	"bytes"
	"crypto/sha3"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func blinding(t require.TestingT, fill byte) *Blinding {
	b, err := NewBlinding(bytes.Repeat([]byte{fill}, 32))
	require.NoError(t, err)
	return b
}

// The flags, computed by the formula of docs/spec/policy.md section 10 with nothing of the package.
func TestBlindingFlags(t *testing.T) {
	part := func(s string) string {
		return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s
	}
	labelled := func(label, atom string) string {
		h := sha3.NewSHAKE256()
		h.Write([]byte(part("veilchart/abe/v1/"+label) + part(strings.Repeat("\x07", 32)) + part(atom)))
		token := make([]byte, 16)
		h.Read(token)
		return "b." + strings.TrimRight(strings.ToLower(base32.StdEncoding.EncodeToString(token)), "=")
	}
	flag := func(atom string) string { return labelled("blind", atom) }
	v := vocabulary(t, wardVocabulary)
	b := blinding(t, 7)
	const role = "\x01\x02\x00\x00\x00\x04role\x00\x00\x00\x06doctor"
	doctor, notPsychiatry := labelled("blind-one", role), flag("\x01\x05\x00\x00\x00\x04dept\x00\x00\x00\x0apsychiatry")
	upper := flag("\x01\x03\x00\x00\x00\x03age" + strings.Repeat("\x00", 8) + strings.Repeat("\x00", 7) + "\x96" + "\x01" + strings.Repeat("\x00", 7) + "\x01")
	p, err := b.Policy(policyOf(t, "2 of (role = doctor, dept != psychiatry, age >= 128)"), v)
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("2 of (%s, %s, %s)", doctor, notPsychiatry, upper), p.String())
	p, err = b.Policy(policyOf(t, "role = doctor"), nil)
	require.NoError(t, err)
	assert.Equal(t, flag(role), p.String(), "not declared one")
	assert.Equal(t, "b.dymkwkdrnuyejabrq54pbh5c4m", flag("\x01\x01\x00\x00\x00\x01a"), "the same as ever")
	attributes, err := b.Attributes(v, attributes(t, "role = doctor", "age = 130")...)
	require.NoError(t, err)
	assert.Len(t, attributes, 1+9+3, "the role, nine intervals, three departments that are not held")
	for _, want := range []string{doctor, notPsychiatry, upper} {
		assert.Contains(t, attributes, Attribute{Name: want})
	}
}

// A blinded policy opens for the blinded attributes if and only if the policy opens for the attributes.
func TestBlindingKeepsMeaning(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		domains, names, v := drawDomains(rt)
		p, err := ParsePolicy(drawWish(rt, domains, names, 2, false).text(domains))
		if err != nil || v.Check(p) != nil {
			return
		}
		b := blinding(rt, rapid.Byte().Filter(func(x byte) bool { return x != 0 }).Draw(rt, "key"))
		blinded, err := b.Policy(p, v)
		if err != nil {
			require.ErrorContains(rt, err, "too large to be blinded")
			return
		}
		require.True(rt, blinded.plain())
		require.NotRegexp(rt, `\b(n[0-9]|v[0-9]+)\b`, blinded.String())
		f, err := p.expand(v)
		require.NoError(rt, err)
		require.Equal(rt, f.rows()[0].m, blinded.formula().rows()[0].m)
		require.Equal(rt, f.ids, blinded.formula().ids)
		for range 4 {
			_, attributes := drawHoldings(rt, domains, names)
			flags, err := b.Attributes(v, attributes...)
			require.NoError(rt, err)
			require.Equal(rt, opens(rt, p, v, atomsOf(rt, v, attributes...)), opens(rt, blinded, nil, atomsOf(rt, nil, flags...)))
			other, err := blinding(rt, 0xaa).Attributes(v, attributes...)
			require.NoError(rt, err)
			if x := (Attribute{Name: "x"}).atom(); b.flag(v, x) != blinding(rt, 0xaa).flag(v, x) {
				require.False(rt, opens(rt, blinded, nil, atomsOf(rt, nil, other...)), "another key")
			}
		}
	})
}

// Nothing compares the vocabularies that one blinding is used with. Whatever a name was declared when a key was issued, and is when an object is
// sealed, a negation opens for nobody who holds the value.
func TestBlindingUnderAnotherVocabulary(t *testing.T) {
	kinds := []string{"", "role: text", "role: one of biller, doctor, nurse", "role: one of doctor, nurse", "role: many of biller, doctor, nurse", "role: many of doctor, nurse"}
	held := [][]string{{"role = doctor"}, {"role = nurse"}, {"role = doctor", "role = nurse"}, {"role = doctor", "role = nurse", "role = biller"}, {"role = biller"}}
	b := blinding(t, 3)
	opened, tried := 0, 0
	for _, then := range kinds {
		for _, now := range kinds[2:] {
			for _, asked := range []string{"not role = doctor", "role != nurse", "not role in (doctor, nurse)", "role = doctor"} {
				p, err := b.Policy(policyOf(t, asked), vocabulary(t, now))
				if err != nil { // nobody is left
					require.ErrorContains(t, err, "never satisfied")
					continue
				}
				for _, texts := range held {
					flags, err := b.Attributes(vocabulary(t, then), attributes(t, texts...)...)
					if err != nil { // not issued: two values of one, or a value that is not declared
						continue
					}
					has := func(role string) bool { return slices.Contains(texts, "role = "+role) }
					honest := map[string]bool{"not role = doctor": !has("doctor"), "role != nurse": !has("nurse"), "not role in (doctor, nurse)": !has("doctor") && !has("nurse"), "role = doctor": has("doctor")}[asked]
					got := opens(t, p, nil, atomsOf(t, nil, flags...))
					require.False(t, got && !honest, "issued under %q, sealed under %q: %s opens for %v", then, now, asked, texts)
					if then == now {
						require.Equal(t, honest, got, "%s under %q for %v", asked, now, texts)
					}
					if tried++; got {
						opened++
					}
				}
			}
		}
	}
	require.Greater(t, opened, 20)
	require.Greater(t, tried-opened, 100)
}

func TestBlindingRefuses(t *testing.T) {
	for _, key := range [][]byte{nil, {}, make([]byte, 32), make([]byte, 31), bytes.Repeat([]byte{1}, 33)} {
		_, err := NewBlinding(key)
		assert.ErrorContains(t, err, "random source")
	}
	v := vocabulary(t, wardVocabulary)
	b := blinding(t, 1)
	for _, b := range []*Blinding{nil, {}} {
		_, err := b.Policy(policyOf(t, "a"), nil)
		assert.ErrorContains(t, err, "NewBlinding")
		_, err = b.Attributes(nil, Attribute{Name: "a"})
		assert.ErrorContains(t, err, "NewBlinding")
	}
	_, err := b.Policy(nil, v)
	assert.ErrorContains(t, err, "no policy")
	_, err = b.Policy(policyOf(t, "not on-call"), v)
	assert.ErrorContains(t, err, "cannot be asked for")
	_, err = b.Policy(policyOf(t, repeated(" or ", func(i int) string { return fmt.Sprintf("a%d", i) })), v)
	assert.ErrorContains(t, err, "too large to be blinded: it has 256 leaves")
	_, err = b.Attributes(v, attributes(t, "age = 1", "age = 2")...)
	assert.ErrorContains(t, err, "one value")
	wide := "x0: number 0..9223372036854775807\n"
	held := attributes(t, "x0 = 1")
	for i := 1; i < 17; i++ {
		wide += fmt.Sprintf("x%d: number 0..9223372036854775807\n", i)
		held = append(held, Attribute{Name: fmt.Sprintf("x%d", i), Value: "1", Kind: Number})
	}
	_, err = b.Attributes(vocabulary(t, wide), held...)
	assert.ErrorContains(t, err, "1088 blinded attributes are over the limit")
}

func TestBlindingIsRedacted(t *testing.T) {
	b := blinding(t, 'k')
	encoded, err := json.Marshal(struct{ B *Blinding }{b})
	require.NoError(t, err)
	for _, s := range []string{fmt.Sprint(b), fmt.Sprintf("%+v %#v %x %s", b, *b, b, *b), string(encoded), b.LogValue().String(), fmt.Sprintf("%+v", struct{ b *Blinding }{b})} {
		assert.NotContains(t, s, "kkk")
		assert.NotContains(t, s, "6b6b6b")
		assert.NotContains(t, s, "107 107")
	}
	assert.Equal(t, `{"B":"redacted"}`, string(encoded))
}

// With real keys and headers: the header holds no name and no value, the right key opens, others do not.
func TestBlindedObject(t *testing.T) {
	v := vocabulary(t, wardVocabulary)
	b := blinding(t, 9)
	a, err := GenerateAuthority(FABEO, nil)
	require.NoError(t, err)
	policy, err := b.Policy(policyOf(t, "role = doctor and age >= 18 and not dept = psychiatry"), v)
	require.NoError(t, err)
	sealed, err := a.Params().Seal(policy, []byte("x-ray"), nil)
	require.NoError(t, err)
	for _, word := range []string{"doctor", "psychiatry"} { // shorter ones could be there by chance
		require.NotContains(t, string(sealed), word)
	}
	open := func(b *Blinding, held ...string) error {
		flags, err := b.Attributes(v, attributes(t, held...)...)
		require.NoError(t, err)
		key, err := a.IssueKey(Window{0, LastDay}, flags...)
		require.NoError(t, err)
		_, err = key.Open(sealed, nil)
		return err
	}
	require.NoError(t, open(b, "role = doctor", "age = 42", "dept = cardiology"))
	require.ErrorIs(t, open(b, "role = doctor", "age = 42", "dept = cardiology", "dept = psychiatry"), ErrDecrypt)
	require.ErrorIs(t, open(b, "role = doctor", "age = 17"), ErrDecrypt)
	require.ErrorIs(t, open(blinding(t, 8), "role = doctor", "age = 42"), ErrDecrypt, "another key")
}

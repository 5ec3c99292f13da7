package abe

import (
	"bytes"
	"crypto/mlkem"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// The files of version 2, with those that the gate and the lock refuse.
const (
	vectors2     = 83
	vectors2Gate = 8
	vectors2Lock = 12
)

// writer makes cases with fresh keys; their files pin what this version reads.
type writer struct {
	t   *testing.T
	dir string
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func changed(b []byte, at int, to ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], to)
	return b
}

func (w writer) add(name string, v vector) {
	b, err := json.MarshalIndent(v, "", "  ")
	require.NoError(w.t, err)
	f, err := os.OpenFile(filepath.Join(w.dir, name+".json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return
	}
	require.NoError(w.t, err)
	_, err = f.Write(append(b, '\n'))
	require.NoError(w.t, err)
	require.NoError(w.t, f.Close())
}

func (w writer) params(name, comment, outcome string, b []byte) {
	w.add("params-"+name, vector{What: "params", Comment: comment, Outcome: outcome, Params: hexOf(b)})
}

func (w writer) authority(name, comment, outcome string, b []byte) {
	w.add("authority-"+name, vector{What: "authority", Comment: comment, Outcome: outcome, Authority: hexOf(b)})
}

func (w writer) key(name, comment, outcome string, b []byte) {
	w.add("key-"+name, vector{What: "key", Comment: comment, Outcome: outcome, Key: hexOf(b)})
}

// open adds an object. What the gate refuses is tried behind it with the rows that somebody with all atoms would use.
func (w writer) open(name, comment, outcome, refused string, k *Key, sealed []byte, opts *Options, plaintext string) {
	if opts == nil {
		opts = &Options{}
	}
	v := vector{What: "open", Comment: comment, Outcome: outcome, Refused: refused, Key: hexOf(k.ExposeSecret()), Sealed: hexOf(sealed), Associated: hexOf(opts.AssociatedData), Companion: hexOf(opts.Companion), Plaintext: hexOf([]byte(plaintext))}
	if opts.HybridKey != nil {
		v.HybridKey = hexOf(opts.HybridKey.Bytes())
	}
	if h, err := decodeHeader(sealed); err == nil {
		v.Policy, v.Day = h.Policy.String(), h.Day.String()
		if refused == refusedByGate {
			f, err := h.formula()
			require.NoError(w.t, err)
			sel, _ := f.satisfy(func(atom) bool { return true })
			if mine, ok := f.satisfy(k.has); ok {
				sel = mine
			}
			v.Weights = make([]string, f.leaves())
			for _, c := range sel {
				v.Weights[c.row] = hexOf(c.coeff.be[:])
			}
		}
	}
	w.add("open-"+name, v)
}

func writeMissing(t *testing.T, dir string) {
	require.NoError(t, os.MkdirAll(dir, 0o755))
	w := writer{t, dir}
	a, other, tkn := withTestVocabulary(t, FABEO), withTestVocabulary(t, FABEO), withTestVocabulary(t, TKN20)
	w.writeParams(a, tkn)
	w.writeAuthorities(a, other, tkn)
	w.writeKeys(a, tkn)
	w.writeEncapsulations(a)
	w.writeObjects(a, other)
	w.writeHybrids(a)
	w.writeTKN20(tkn)
}

func (w writer) writeParams(a, tkn *Authority) {
	good, text := a.Params().Bytes(), len(testVocabulary)
	last := len(good) - 1
	w.params("ok", "a vocabulary and Y", success, good)
	w.params("trailing", "one byte more", formatFailure, append(bytes.Clone(good), 0))
	w.params("not-in-group", "last bit of Y flipped", formatFailure, changed(good, last, good[last]^1))
	one := pairing.GTIdentity().Bytes()
	w.params("one", "Y is 1", formatFailure, append(bytes.Clone(good[:12+text]), one[:]...))
	w.params("vocabulary-order", "two declarations change places", formatFailure, bytes.Replace(good, []byte("age: number 0..150\nborn: date 1900-01-01..2100-12-31\n"), []byte("born: date 1900-01-01..2100-12-31\nage: number 0..150\n"), 1))
	w.params("vocabulary-range", "a range that is none", formatFailure, bytes.Replace(good, []byte("0..150"), []byte("150..0"), 1))
	w.params("version-3", "an unknown version", formatFailure, changed(good, 6, 3))
	w.params("version-1", "a vocabulary in version 1", formatFailure, changed(good, 6, 1))
	strange := tkn.Params().Bytes()
	at := 12 + text + 4
	w.params("tkn20-ok", "of suite TKN20", success, strange)
	w.params("tkn20-dimensions", "the first matrix says 2 rows and 4 columns", formatFailure, changed(strange, at+2, 2, 0, 4, 0))
	w.params("tkn20-not-in-group", "last bit flipped", formatFailure, changed(strange, len(strange)-1, strange[len(strange)-1]^1))
	w.params("tkn20-as-fabeo", "of suite TKN20 under the number of FABEO", formatFailure, changed(strange, 7, 1))
}

func (w writer) writeAuthorities(a, other, tkn *Authority) {
	good := a.ExposeSecret()
	alpha := len(good) - 32
	w.authority("ok", "master secret", success, good)
	w.authority("zero", "alpha is 0", formatFailure, append(bytes.Clone(good[:alpha]), make([]byte, 32)...))
	w.authority("order", "alpha is the group order", formatFailure, append(bytes.Clone(good[:alpha]), groupOrder.Bytes()...))
	w.authority("other-fingerprint", "alpha of another authority", formatFailure, append(bytes.Clone(good[:alpha]), other.ExposeSecret()[alpha:]...))
	w.authority("vocabulary", "a declaration changed under the fingerprint", formatFailure, bytes.Replace(good, []byte("0..150"), []byte("0..151"), 1))
	strange := tkn.ExposeSecret()
	w.authority("tkn20-ok", "of suite TKN20", success, strange)
	w.authority("tkn20-damaged", "a bit of circl's key for the pseudo-random function flipped", formatFailure, changed(strange, len(strange)-33, strange[len(strange)-33]^1))
}

func (w writer) writeKeys(a, tkn *Authority) {
	k := holder(w.t, a, Window{testDay, testDay + 364})
	good := k.ExposeSecret()
	window := 8 + 4 + len(a.Params().Bytes())
	items := window + 4 + 4
	w.key("ok", "an attribute of each kind, a window of a year", success, good)
	w.key("trailing", "one byte more", formatFailure, append(bytes.Clone(good), 0))
	w.key("window-moved", "another day in a window of one day", formatFailure, changed(issueTo(w.t, a, Window{5, 5}, "a").ExposeSecret(), window, 0, 6, 0, 6))
	w.key("window-empty", "no window", formatFailure, changed(good, window, 0, 0, 0, 0))
	w.key("window-backwards", "a window that ends before it begins", formatFailure, changed(good, window, 0, 9, 0, 8))
	w.key("no-attributes", "none", formatFailure, changed(good, items-4, 0, 0, 0, 0))
	w.key("relabelled", "a key for on-call that claims of-call", formatFailure, bytes.Replace(issueTo(w.t, a, always, "on-call").ExposeSecret(), []byte("on-call"), []byte("of-call"), 1))
	one := issueTo(w.t, a, always, "a").ExposeSecret()
	w.key("older", "the number 42 made 43: the prefixes of another number", formatFailure, bytes.Replace(good, []byte("\x08\x00\x00\x00\x00\x00\x00\x00\x2a"), []byte("\x08\x00\x00\x00\x00\x00\x00\x00\x2b"), 1))
	w.key("level", "a number that is a range", formatFailure, bytes.Replace(good, []byte("\x08\x00\x00\x00\x00\x00\x00\x00\x2a"), []byte("\x07\x00\x00\x00\x00\x00\x00\x00\x15"), 1))
	w.key("order-three", "sk2 is the point (0, 2) of order three", formatFailure, changed(one, len(one)-144, append([]byte{0x80}, make([]byte, 47)...)...))
	w.key("identity", "sk3 is the identity", formatFailure, changed(one, len(one)-96, append([]byte{0xc0}, make([]byte, 95)...)...))
	w.key("days-swapped", "the components of two prefixes change places", formatFailure, func() []byte {
		b, at := bytes.Clone(one), len(one)-144-96
		copy(b[at:], one[at+48:at+96])
		copy(b[at+48:], one[at:at+48])
		return b
	}())
	parts := *holder(w.t, a, always).in()
	parts.items = nil
	v1, v2 := parseVocabulary(w.t, "age: number 0..150"), parseVocabulary(w.t, "age: number 0..200")
	for _, v := range []*Vocabulary{v1, v2} {
		item, err := Attribute{Name: "age", Value: "9", Kind: Number}.item(v)
		require.NoError(w.t, err)
		parts.items = append(parts.items, item)
	}
	parts.secret = fabeoMasterOf(a).keyGen(keyAtoms(parts.items, &always))
	w.key("two-numbers", "two numbers of one name, in ranges that differ", formatFailure, keyOf(&parts).ExposeSecret())

	strange := issueTo(w.t, tkn, Window{5, 5}, "a")
	b := strange.ExposeSecret()
	w.key("tkn20-ok", "of suite TKN20", success, b)
	w.key("tkn20-moved", "another day in a window of one day", formatFailure, changed(b, window2(tkn), 0, 6, 0, 6))
	w.key("tkn20-length", "a length within circl's key", formatFailure, changed(b, window2(tkn)+4+4+4+7+4, 0xff, 0xff))
	w.key("tkn20-flipped", "last bit flipped", formatFailure, changed(b, len(b)-1, b[len(b)-1]^1))
}

func window2(a *Authority) int { return 8 + 4 + len(a.Params().Bytes()) }

func (w writer) writeEncapsulations(a *Authority) {
	for i, policy := range []string{"on-call", "on-call and x", "2 of (a, b, c)", "(a or b) and (a or c)", "age >= 18 and not role = biller", `dept != psychiatry or born in 1950-01-01..1999-12-31`} {
		var companion []byte
		if i%2 == 1 {
			companion = bytes.Repeat([]byte{byte(i)}, 32)
		}
		day := []Day{1, testDay, LastDay}[i%3]
		s, err := a.Params().sealer(parsePolicy(w.t, policy), &Options{Day: day, Companion: companion})
		require.NoError(w.t, err)
		sigma := [keySize]byte{byte(i), 2, 3}
		core, K := s.encapsulateSigma(sigma)
		w.add(fmt.Sprint("encapsulate-", i), vector{What: "encapsulate", Comment: "core and K from sigma", Outcome: success, Params: hexOf(a.Params().Bytes()), Policy: policy, Day: day.String(), Sigma: hexOf(sigma[:]), Companion: hexOf(companion), Core: hexOf(core), SharedKey: hexOf(K[:])})
	}
}

func (w writer) writeObjects(a, other *Authority) {
	const policy = "role = doctor and age in 18..65 and not dept = psychiatry"
	win := Window{testDay, testDay + 364}
	k := holder(w.t, a, win)
	seal := func(policy string, opts *Options) []byte {
		sealed, err := a.Params().Seal(parsePolicy(w.t, policy), []byte("plaintext"), opts)
		require.NoError(w.t, err)
		return sealed
	}
	comp := bytes.Repeat([]byte{3}, 32)
	opts := &Options{AssociatedData: []byte("patient 17"), Companion: comp}
	sealed := seal(policy, &Options{Day: testDay + 7, AssociatedData: opts.AssociatedData, Companion: comp})
	h, err := decodeHeader(sealed)
	require.NoError(w.t, err)
	w.open("ok", "numbers, a negation, associated data and a companion", success, "", k, sealed, opts, "plaintext")
	for name, day := range map[string]Day{"first": win.First, "last": win.Last} {
		w.open("window-"+name, "sealed on the "+name+" day of the window", success, "", k, seal("on-call", &Options{Day: day}), nil, "plaintext")
	}
	many, err := a.Params().SealMany(parsePolicy(w.t, "2 of (on-call, x, role = doctor)"), []Record{{ID: "r1"}, {ID: "r2", Plaintext: []byte("two")}}, &Options{Day: testDay})
	require.NoError(w.t, err)
	w.open("many", "second record of two with one encapsulation", success, "", k, many[1], nil, "two")
	w.open("many-renamed", "record id changed", noMatch, refusedByLock, k, bytes.Replace(many[1], []byte("r2"), []byte("r1"), 1), nil, "")

	before, after := seal("on-call", &Options{Day: win.First - 1}), seal("on-call", &Options{Day: win.Last + 1})
	w.open("window-before", "sealed on the day before the window", noMatch, refusedByGate, k, before, nil, "")
	w.open("window-after", "sealed on the day after the window", noMatch, refusedByGate, k, after, nil, "")
	at := fixedSize + 32 + 6
	w.open("window-header", "sealed on the day after the window, and the header says the last", noMatch, refusedByLock, k, changed(after, at, byte(win.Last>>8), byte(win.Last)), nil, "")
	plain := generate(w.t)
	dated, err := plain.Params().Seal(parsePolicy(w.t, "on-call"), nil, &Options{Day: testDay})
	require.NoError(w.t, err)
	w.open("window-version-1", "a key of version 1, which has no window", noMatch, refusedByGate, key1(issue(w.t, plain, "on-call")), dated, nil, "")
	w.open("day-zero", "no day", formatFailure, "", k, changed(after, at, 0, 0), nil, "")
	w.open("day-large", "a day after the last", formatFailure, "", k, changed(after, at-1, 1), nil, "")
	w.open("version-1", "the version is set to 1", formatFailure, "", k, changed(after, 6, 1), nil, "")
	w.open("suite-2", "the suite is set to 2", noMatch, refusedByGate, k, changed(sealed, 7, 2), opts, "")
	w.open("suite-3", "an unknown suite", formatFailure, "", k, changed(sealed, 7, 3), opts, "")
	w.open("not-satisfied", "a key of somebody too young", noMatch, refusedByGate, younger(w.t, a, win), sealed, opts, "")
	w.open("other-authority", "the same attributes from another authority", noMatch, refusedByGate, holder(w.t, other, win), sealed, opts, "")
	w.open("companion-missing", "no companion", noMatch, refusedByGate, k, sealed, &Options{AssociatedData: opts.AssociatedData}, "")
	w.open("associated-wrong", "other associated data", noMatch, refusedByLock, k, sealed, &Options{AssociatedData: []byte("patient 18"), Companion: comp}, "")
	w.open("weakened", "an and in the header replaced by an or", noMatch, refusedByLock, k, bytes.Replace(seal("on-call and on-duty", &Options{Day: testDay}), []byte("on-call and on-duty"), []byte("on-call or on-duty1"), 1), nil, "")
	w.open("payload-cut", "last byte missing", payloadFailure, "", k, sealed[:len(sealed)-1], opts, "")
	w.open("payload-flipped", "last bit flipped", payloadFailure, "", k, changed(sealed, len(sealed)-1, sealed[len(sealed)-1]^1), opts, "")
	w.open("header-cut", "cut within the header", formatFailure, "", k, sealed[:h.Size-1], opts, "")
	w.open("flags", "an unknown flag", formatFailure, "", k, changed(sealed, fixedSize+32+8, 3), opts, "")
	for i, text := range []string{"", "age: number 0..150\n", h.Vocabulary.String() + "x: flag\n", "dept: many of psychiatry\nage: number 0..150\n"} {
		b := append(encodeWithDeclarations(h, text), sealed[len(h.core):]...)
		w.open(fmt.Sprint("declarations-", i), "not the declarations that the policy needs, in their order", formatFailure, "", k, b, opts, "")
	}
	w.open("row-of-a-day", "a row of the day that this key does not use is replaced by the point (0, 2)", noMatch, refusedByLock, k, changed(sealed, len(h.core)-48, append([]byte{0x80}, make([]byte, 47)...)...), opts, "")
	w.open("row-added", "the body has a ninth row for the day", formatFailure, "", k, func() []byte {
		b := append(bytes.Clone(h.core), h.core[len(h.core)-48:]...)
		size := len(b) - fixedSize
		b[10], b[11] = byte(size>>8), byte(size)
		return append(b, sealed[len(h.core):]...)
	}(), opts, "")
	w.open("row-dropped", "the body has seven rows for the day", formatFailure, "", k, func() []byte {
		b := bytes.Clone(h.core[:len(h.core)-48])
		size := len(b) - fixedSize
		b[10], b[11] = byte(size>>8), byte(size)
		return append(b, sealed[len(h.core):]...)
	}(), opts, "")
}

func younger(t *testing.T, a *Authority, w Window) *Key {
	k, err := a.IssueKey(w, Attribute{Name: "role", Value: "doctor"}, Attribute{Name: "age", Value: "17", Kind: Number})
	require.NoError(t, err)
	return k
}

func (w writer) writeHybrids(a *Authority) {
	k := holder(w.t, a, always)
	pq, err := mlkem.GenerateKey768()
	require.NoError(w.t, err)
	wrong, err := mlkem.GenerateKey768()
	require.NoError(w.t, err)
	sealed, err := a.Params().Seal(parsePolicy(w.t, "on-call"), []byte("plaintext"), &Options{Day: testDay, HybridTo: pq.EncapsulationKey()})
	require.NoError(w.t, err)
	h, err := decodeHeader(sealed)
	require.NoError(w.t, err)
	w.open("hybrid", "with ML-KEM-768", success, "", k, sealed, &Options{HybridKey: pq}, "plaintext")
	w.open("hybrid-missing", "no ML-KEM key", noMatch, refusedByGate, k, sealed, nil, "")
	w.open("hybrid-wrong", "another ML-KEM key", noMatch, refusedByLock, k, sealed, &Options{HybridKey: wrong}, "")
	w.open("hybrid-flipped", "a bit of the ML-KEM ciphertext flipped", noMatch, refusedByLock, k, changed(sealed, len(h.pre)-1, sealed[len(h.pre)-1]^1), &Options{HybridKey: pq}, "")
	w.open("hybrid-short", "an ML-KEM ciphertext that is too short", formatFailure, "", k, changed(sealed, len(h.pre)-1088-2, 4, 63), &Options{HybridKey: pq}, "")
}

func (w writer) writeTKN20(a *Authority) {
	win := Window{testDay, testDay + 6}
	k := holder(w.t, a, win)
	sealed, err := a.Params().Seal(parsePolicy(w.t, "age >= 18 and on-call"), []byte("plaintext"), &Options{Day: testDay})
	require.NoError(w.t, err)
	h, err := decodeHeader(sealed)
	require.NoError(w.t, err)
	w.open("tkn20", "suite TKN20", success, "", k, sealed, nil, "plaintext")
	w.open("tkn20-flipped", "last bit of circl's ciphertext flipped", noMatch, refusedByLock, k, changed(sealed, len(h.core)-1, sealed[len(h.core)-1]^1), nil, "")
	w.open("tkn20-gate", "an and of circl's policy made an or", noMatch, refusedByLock, k, func() []byte {
		f, err := h.formula()
		require.NoError(w.t, err)
		tree, err := newTKNTree(f)
		require.NoError(w.t, err)
		at := len(h.pre) + bytes.Index(h.body, tree.appendPolicy(nil)) + 4
		for sealed[at] != 0 {
			at += 7
		}
		return changed(sealed, at, 1)
	}(), nil, "")
	w.open("tkn20-header", "the header's policy is weaker than the ciphertext's, of one length", noMatch, refusedByLock, k, func() []byte {
		s, err := a.Params().sealer(parsePolicy(w.t, "on-call or role = doctor"), &Options{Day: testDay})
		require.NoError(w.t, err)
		body, sigma, err := s.public.encapsulate(nil, parsePolicy(w.t, "on-call and role = doctor").onDay(testDay))
		require.NoError(w.t, err)
		core := append(s.appendPre(nil, nil), body...)
		object, err := sealRecord(core, sharedKey(sigma, nil, nil, core), "", []byte("x"), nil)
		require.NoError(w.t, err)
		return object
	}(), nil, "")
	w.open("tkn20-day", "sealed on the day after the window, and the header says the last", noMatch, refusedByLock, k, func() []byte {
		object, err := a.Params().Seal(parsePolicy(w.t, "on-call"), []byte("x"), &Options{Day: win.Last + 1})
		require.NoError(w.t, err)
		return changed(object, fixedSize+32+6, byte(win.Last>>8), byte(win.Last))
	}(), nil, "")
	w.open("tkn20-short", "circl's ciphertext is a byte shorter", noMatch, refusedByLock, k, func() []byte {
		b := bytes.Clone(h.core[:len(h.core)-1])
		size := len(b) - fixedSize
		b[9], b[10], b[11] = byte(size>>16), byte(size>>8), byte(size)
		return append(b, sealed[len(h.core):]...)
	}(), nil, "")
}

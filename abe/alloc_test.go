package abe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// strangersShare is what bytes that were not validated yet make a receiver allocate at most, beyond their own number. It counts everything that is
// allocated, whatever is freed in between.
const strangersShare = 64 << 10

// What needs more is in proportion to the bytes that were really received, and comes after everything that can be checked without it.
const (
	perKeyByte    = 10 // the components of a key whose lengths are right, decoded
	perHeaderByte = 40 // the formula of an object of one's own authority, and why it is refused
)

// spent is allocated in one run, for thousands of them.
func spent(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// lies calls f with what a stranger makes of an encoding: cut, with numbers that promise more than there is or more than is allowed, and both.
func lies(encoding []byte, places int, f func([]byte)) {
	if testing.Short() {
		places = min(places, 20)
	}
	front := min(64, places) // every byte of it, for there the lengths are
	for i := 0; i+4 <= len(encoding); i++ {
		if i > front && i%(len(encoding)/places+1) != 0 {
			continue
		}
		f(encoding[:i])
		for _, n := range []uint32{0xffffffff, 1 << 31, 1 << 16, 1<<16 - 1, 1 << 12, 1 << 10} {
			b := bytes.Clone(encoding)
			binary.BigEndian.PutUint32(b[i:], n)
			f(b)
			f(b[:i+4])
		}
	}
	f(append(bytes.Clone(encoding), make([]byte, 1000)...))
}

// within holds a receiver to a bound, and says what came nearest to it.
func within(t *testing.T, what string, bound func(received int) int, receive func([]byte) error) (check func([]byte), report func()) {
	nearest, least := "nothing was received", 1<<62
	check = func(b []byte) {
		var err error
		run := func() { err = receive(b) }
		run() // what is made once, such as the tables of params, is not the stranger's doing
		n := spent(run)
		for tries := 0; n > bound(len(b)) && tries < 2; tries++ { // the runtime allocates now and then
			n = min(n, spent(run))
		}
		if left := bound(len(b)) - n; left < least {
			least, nearest = left, fmt.Sprintf("%d bytes received, %d allocated, %v", len(b), n, err)
		}
	}
	return check, func() {
		require.GreaterOrEqual(t, least, 0, "%s: %.200s", what, nearest)
		t.Logf("%s: %.120s", what, nearest)
	}
}

func share(received int) int { return strangersShare + received }

// bothSuites are the suites, with how many places of their encodings are lied about: everything of TKN20 is larger and slower.
var bothSuites = map[Suite]int{FABEO: 150, TKN20: 16}

func TestStrangersKeysAllocateLittle(t *testing.T) {
	for suite, places := range bothSuites {
		t.Run(suite.String(), func(t *testing.T) { testStrangersKeys(t, suite, places) })
	}
}

func testStrangersKeys(t *testing.T, suite Suite, places int) {
	v, err := ParseVocabulary("age: number 0..150\nrole: one of doctor, nurse\n" + "ward: many of " + flagsText(500, ", ") + "\n")
	require.NoError(t, err)
	a, err := GenerateAuthority(suite, v)
	require.NoError(t, err)
	plain, err := GenerateAuthority(suite, nil)
	require.NoError(t, err)
	window := Window{First: 1, Last: LastDay - 1}
	_, hundred := wide(t, 100)
	keys := map[string][]byte{}
	for name, issue := range map[string]func() (*Key, error){
		"one attribute":      func() (*Key, error) { return plain.IssueKey(window, Attribute{Name: "a"}) },
		"hundred attributes": func() (*Key, error) { return plain.IssueKey(window, hundred...) },
		"vocabulary":         func() (*Key, error) { return a.IssueKey(window, Attribute{Name: "age", Value: "18", Kind: Number}) },
	} {
		if suite == TKN20 && name != "one attribute" {
			continue // circl takes seconds
		}
		k, err := issue()
		require.NoError(t, err)
		keys[name] = k.ExposeSecret()
	}
	ofKey := func(received int) int { return share(received) + perKeyByte*received }
	missing := share
	if suite == TKN20 { // its components have no lengths of their own: items and params are decoded before what is missing is missed
		missing = ofKey
	}
	for name, encoding := range keys {
		check, report := within(t, "key, "+name, ofKey, func(b []byte) error { _, err := NewKey(b); return err })
		short, reportShort := within(t, "key of which most is missing, "+name, missing, func(b []byte) error { _, err := NewKey(b); return err })
		wholes := 0
		lies(encoding, places, func(b []byte) {
			if len(b) < len(encoding) {
				short(b)
			} else if wholes++; wholes%40 == 0 { // decoding a whole key is slow
				check(b)
			}
		})
		report()
		reportShort()
	}
	for name, a := range map[string]*Authority{"plain": plain, "vocabulary": a} {
		ofText := func(received int) int { return share(received) + 2*received } // a vocabulary is parsed and printed again
		check, report := within(t, "params, "+name, ofText, func(b []byte) error { _, err := NewParams(b); return err })
		lies(a.Params().Bytes(), places/3, check)
		report()
		check, report = within(t, "authority, "+name, ofText, func(b []byte) error { _, err := NewAuthority(b); return err })
		lies(a.ExposeSecret(), places/3, check)
		report()
	}
}

// largest are policies that cost a reader much.
func largest() map[string]string {
	return map[string]string{
		"one":       "b",
		"or":        "b or " + flagsText(255, " or "),
		"and":       "b and " + flagsText(255, " and "),
		"threshold": "128 of (b, " + flagsText(255, ", ") + ")",
		"nested":    strings.Repeat("(c or (b and ", 15) + "c" + strings.Repeat("))", 15),
		"compare":   "b and " + strings.Repeat("((age >= 3 and role != doctor) or (", 7) + "d and e" + strings.Repeat("))", 7),
		"range":     "age in 1..149 or born in 1901-01-02..2100-12-30 or b",
	}
}

func TestStrangersObjectsAllocateLittle(t *testing.T) {
	for suite, places := range bothSuites {
		t.Run(suite.String(), func(t *testing.T) { testStrangersObjects(t, suite, places) })
	}
}

func testStrangersObjects(t *testing.T, suite Suite, places int) {
	v, err := ParseVocabulary("age: number 0..150\nborn: date 1900-01-01..2100-12-31\nrole: one of doctor, nurse\n")
	require.NoError(t, err)
	a, err := GenerateAuthority(suite, v)
	require.NoError(t, err)
	other, err := GenerateAuthority(suite, v)
	require.NoError(t, err)
	always := Window{First: 0, Last: LastDay}
	denied, err := a.IssueKey(always, Attribute{Name: "nothing"})
	require.NoError(t, err)
	foreign, err := other.IssueKey(always, Attribute{Name: "b"})
	require.NoError(t, err)
	openAll := func(k *Key) map[string]func([]byte) error {
		return map[string]func([]byte) error{
			"Open": func(b []byte) error { _, err := k.Open(b, nil); return err },
			"Decrypt": func(b []byte) error {
				r, err := k.Decrypt(bytes.NewReader(b), nil)
				if err == nil {
					_, err = io.Copy(new(sink), r)
				}
				return err
			},
			"OpenReaderAt": func(b []byte) error { _, err := k.OpenReaderAt(bytes.NewReader(b), int64(len(b)), nil); return err },
		}
	}
	for name, text := range largest() {
		sealed, err := a.Params().Seal(parsePolicy(t, text), []byte("x"), nil)
		if suite == TKN20 && err != nil {
			continue // too large for a header, or for circl
		}
		require.NoError(t, err)
		check, report := within(t, name+", Inspect", share, func(b []byte) error { _, err := Inspect(b); return err })
		lies(sealed, places, check)
		report()
		for way, open := range openAll(foreign) {
			check, report := within(t, name+", another authority, "+way, share, open)
			if way == "Open" {
				lies(sealed, places, check)
			}
			check(sealed)
			for n := range 32 {
				check(sealed[:n*len(sealed)/32])
			}
			report()
		}
		for way, open := range openAll(denied) {
			ofHeader := func(received int) int { return share(received) + perHeaderByte*received }
			check, report := within(t, name+", denied, "+way, ofHeader, open)
			check(sealed)
			report()
		}
	}
}

// With the right key, a payload that lies costs one segment at most: a stream of segments that was cut, one that is said to go on, and one that is
// said to be huge.
func TestStrangersStreamsAllocateOneSegment(t *testing.T) {
	_, k, sealed, _ := streamed(t)
	h, err := Inspect(sealed)
	require.NoError(t, err)
	header := int(allocated(func() { _, err = k.Open(sealed[:h.Size], nil) })) // all that the header costs
	mathematicsRefuses(t, err)
	bound := header + segmentSize + 32<<10
	changed := bytes.Clone(sealed)
	changed[h.Size+1000] ^= 1
	for name, b := range map[string][]byte{
		"head only": sealed[:h.Size+payloadHead], "cut": sealed[:h.Size+1000], "second segment cut": sealed[:h.Size+segmentSize+1000], "changed": changed,
		"endless": append(bytes.Clone(changed), make([]byte, 8*segmentSize)...),
	} {
		n := int(allocated(func() {
			var r io.Reader
			if r, err = k.Decrypt(bytes.NewReader(b), nil); err == nil {
				_, err = io.Copy(new(sink), r)
			}
		}))
		mathematicsRefuses(t, err, name)
		require.Less(t, n, bound+64<<10, "Decrypt, %s", name) // io.Copy has a buffer
		for _, size := range []int64{int64(len(b)), int64(len(b)) + 1, 1 << 40, 1<<63 - 1} {
			n := int(allocated(func() { _, err = k.OpenReaderAt(bytes.NewReader(b), size, nil) }))
			if err != nil {
				mathematicsRefuses(t, err, name)
			}
			require.Less(t, n, bound, "OpenReaderAt, %s, said to have %d bytes", name, size)
		}
	}
}

// flagsText are n flags with the same text between them.
func flagsText(n int, between string) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("n%03d", i))
	}
	return strings.Join(names, between)
}

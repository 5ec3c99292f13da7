package dp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// whole writes a ledger with every type of record and returns the file and where its records begin.
func whole(t *testing.T) (content []byte, starts []int, head Head) {
	t.Helper()
	l, path := create(t, limitsOf(t, 1, 1))
	_, err := l.Release(bg, "ann", countQuery("x"), exactly(5))
	require.NoError(t, err)
	_, err = l.Release(bg, "bob", countQuery("x"), exactly(5))
	require.NoError(t, err)
	_, err = l.Release(bg, "bob", sumQuery("y"), func(context.Context) (Exact, error) { return Exact{}, errors.New("boom") })
	require.Error(t, err)
	_, err = l.Release(bg, "bob", histogramQuery("z"), exactly(5))
	require.NoError(t, err)
	head = l.Head()
	require.NoError(t, l.Close())
	content, err = os.ReadFile(path)
	require.NoError(t, err)
	return content, recordStarts(content), head
}

func recordStarts(content []byte) (starts []int) {
	for at := headerSize; at < len(content); at += int(binary.BigEndian.Uint32(content[at:])) {
		starts = append(starts, at)
	}
	return starts
}

// try opens content as a ledger file.
func try(t require.TestingT, dir string, content []byte, anchor Head) (Head, int64, error) {
	path := filepath.Join(dir, "tampered")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	l, err := Open(bg, path, testKey, anchor)
	if err != nil {
		require.ErrorContains(t, err, path)
		after, readErr := os.ReadFile(path)
		require.NoError(t, readErr)
		require.True(t, bytes.Equal(content, after), "a file that is refused is left alone")
		return Head{}, 0, err
	}
	defer l.Close()
	return l.Head(), l.size, nil
}

func TestEachFlippedByteIsRefused(t *testing.T) {
	content, _, _ := whole(t)
	dir := t.TempDir()
	for i := range content {
		for _, x := range []byte{0x01, 0x80} {
			bad := bytes.Clone(content)
			bad[i] ^= x
			_, _, err := try(t, dir, bad, Head{})
			require.ErrorIs(t, err, ErrDamaged, "byte %d", i)
		}
	}
}

// Cut anywhere, the file is what it was before the record that was cut: the crash rule. Against the head, every cut is noticed.
func TestTruncatedAnywhere(t *testing.T) {
	content, starts, head := whole(t)
	dir := t.TempDir()
	for n := range content {
		last := -1 // index of the last whole record
		end := headerSize
		for i := range starts {
			next := len(content)
			if i+1 < len(starts) {
				next = starts[i+1]
			}
			if next <= n {
				last, end = i, next
			}
		}
		got, size, err := try(t, dir, content[:n], Head{})
		if last < 0 {
			require.ErrorIs(t, err, ErrDamaged, "%d bytes", n)
			continue
		}
		require.NoError(t, err, "%d bytes", n)
		require.Equal(t, uint64(last), got.Seq)
		require.Equal(t, int64(end), size)
	}
	for _, n := range append(starts[1:], len(content)-1) {
		path := filepath.Join(dir, "cut")
		require.NoError(t, os.WriteFile(path, content[:n], 0o600))
		_, err := Open(bg, path, testKey, head)
		require.ErrorIs(t, err, ErrRollback)
	}
	_, _, err := try(t, dir, content, head)
	require.NoError(t, err)
}

// What a file system may show after a power cut: blocks of the last record that were never written read as zeros.
func TestUnwrittenBlocksAreTorn(t *testing.T) {
	content, starts, _ := whole(t)
	dir := t.TempDir()
	last := starts[len(starts)-1]
	zeroed := func(from, to int) []byte {
		b := bytes.Clone(content)
		clear(b[from:to])
		return b
	}
	for _, from := range []int{last, last + 8, last + 100, len(content) - hashSize} {
		got, _, err := try(t, dir, zeroed(from, len(content)), Head{})
		require.NoError(t, err)
		require.Equal(t, uint64(len(starts)-2), got.Seq)
	}
	// But not in the middle of the file, nor a hole in a record whose end is there.
	for _, b := range [][]byte{
		zeroed(starts[2], starts[3]), zeroed(starts[3]-hashSize, starts[3]), zeroed(last, last+8), zeroed(last+100, last+200),
		append(bytes.Clone(content), append(make([]byte, 600), 1)...),
	} {
		_, _, err := try(t, dir, b, Head{})
		require.ErrorIs(t, err, ErrDamaged)
	}
	_, _, err := try(t, dir, append(bytes.Clone(content), make([]byte, 300_000)...), Head{})
	require.NoError(t, err, "a tail of zeros is dropped, however long")
}

func TestRecordsMovedBetweenPlacesAndFiles(t *testing.T) {
	content, starts, head := whole(t)
	foreign, foreignStarts, _ := whole(t)
	dir := t.TempDir()
	part := func(c []byte, s []int, i int) []byte {
		if i+1 < len(s) {
			return c[s[i]:s[i+1]]
		}
		return c[s[i]:]
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for i := range starts {
		for j := range i {
			// Records i and j swapped.
			b := bytes.Clone(content[:headerSize])
			for k := range starts {
				switch k {
				case i:
					b = append(b, part(content, starts, j)...)
				case j:
					b = append(b, part(content, starts, i)...)
				default:
					b = append(b, part(content, starts, k)...)
				}
			}
			_, _, err := try(t, dir, b, Head{})
			require.ErrorIs(t, err, ErrDamaged, "%d and %d swapped", i, j)
		}
		// Record i left out, repeated, or taken from another ledger under the same key.
		end := starts[i] + len(part(content, starts, i))
		for name, b := range map[string][]byte{
			"left out": join(content[:starts[i]], content[end:]),
			"repeated": join(content[:end], part(content, starts, i), content[end:]),
			"foreign":  join(content[:starts[i]], part(foreign, foreignStarts, i), content[end:]),
		} {
			if name == "left out" && i == len(starts)-1 {
				continue // a cut, which only an anchor can notice
			}
			_, _, err := try(t, dir, b, Head{})
			require.ErrorIs(t, err, ErrDamaged, "record %d %s", i, name)
		}
	}
	// Another ledger as a whole is intact, but not the one that was anchored.
	_, _, err := try(t, dir, foreign, Head{})
	require.NoError(t, err)
	_, _, err = try(t, dir, foreign, head)
	require.ErrorIs(t, err, ErrRollback)
	_, _, err = try(t, dir, content, Head{Seq: head.Seq, Hash: hash{1}})
	require.ErrorIs(t, err, ErrRollback)
	for _, b := range [][]byte{nil, []byte("vcht"), bytesOf('x', 500), content[:headerSize], join(content[:headerSize], foreign[headerSize:])} {
		_, _, err = try(t, dir, b, Head{})
		require.ErrorIs(t, err, ErrDamaged)
	}
}

// Two histories of one ledger, made by going on from a copy, cannot be spliced: same key, same id, right sequences, but the hash of the
// record before gives it away. Otherwise the dear part of one history could be swapped for the cheap part of another.
func TestSplicedHistories(t *testing.T) {
	l, path := create(t, limitsOf(t, 1, 1))
	_, err := l.Release(bg, "ann", countQuery("x"), exactly(5))
	require.NoError(t, err)
	start, err := os.ReadFile(path)
	require.NoError(t, err)
	history := func(epsilons ...float64) []byte {
		p := filepath.Join(t.TempDir(), "copy")
		require.NoError(t, os.WriteFile(p, start, 0o600))
		l := open(t, p)
		for i, e := range epsilons {
			q := countQuery("y")
			q.DataVersion, q.Epsilon = uint64(i), e
			_, err := l.Release(bg, "ann", q, exactly(5))
			require.NoError(t, err)
		}
		b, err := os.ReadFile(p)
		require.NoError(t, err)
		return b
	}
	dear, cheap := history(1, 0.25), history(0.01, 0.25)
	require.Equal(t, len(dear), len(cheap))
	starts := recordStarts(dear)
	for _, at := range starts[4:] { // record 3 is the first that differs
		_, _, err := try(t, t.TempDir(), append(bytes.Clone(cheap[:at]), dear[at:]...), Head{})
		require.ErrorIs(t, err, ErrDamaged)
	}
}

// Whoever holds the key is bound by the rules too: records with right MACs that break them are refused. This is what stands behind
// the checks that run before a record is written.
func TestRulesHoldForSealedRecords(t *testing.T) {
	content, starts, _ := whole(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "l")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	l := open(t, path)
	plan := func(q Query) Plan {
		p, err := q.Plan()
		require.NoError(t, err)
		return p
	}
	unit := laplaceCost(1 << 18)
	x, fresh := plan(countQuery("x")), plan(countQuery("new"))
	keyX, keyNew := l.keys.question(x.query), l.keys.question(fresh.query)
	reserve := func(p Plan, hit bool) []byte { return charge{hit, "ann", p.query}.append(nil) }
	dear := countQuery("new")
	dear.Epsilon = 1.5
	good := record{kind: typeReserve, query: keyNew, cost: unit}
	for name, c := range map[string]struct {
		r    record
		body []byte
	}{
		"a second opening record":        {record{kind: typeOpen}, l.limits.append(nil)},
		"a cost that is too low":         {record{kind: typeReserve, query: keyNew, cost: Cost{rho: 1}}, reserve(fresh, false)},
		"no cost":                        {record{kind: typeReserve, query: keyNew}, reserve(fresh, false)},
		"more than the limit":            {record{kind: typeReserve, query: keyNew, cost: plan(dear).Cost}, reserve(plan(dear), false)},
		"a new answer where one is":      {record{kind: typeReserve, query: keyX, cost: unit}, reserve(x, false)},
		"a hit where nothing is":         {good, reserve(fresh, true)},
		"a hit flag of 2":                {good, append([]byte{2}, reserve(fresh, false)[1:]...)},
		"trailing bytes":                 {good, append(reserve(fresh, false), 0)},
		"an empty body":                  {good, nil},
		"an answer to nothing":           {record{kind: typeCommit, query: keyNew}, answer{1, []int64{3}}.append(nil)},
		"an answer to a question again":  {record{kind: typeCommit, query: keyX}, answer{1, []int64{3}}.append(nil)},
		"an answer with a cost":          {record{kind: typeCommit, query: keyX, cost: unit}, answer{1, []int64{3}}.append(nil)},
		"a void of what was answered":    {record{kind: typeVoid, query: keyX}, appendVoid(nil, 1)},
		"a void of what was paid as hit": {record{kind: typeVoid, query: keyX}, appendVoid(nil, 3)},
		"a void of a void":               {record{kind: typeVoid, query: keyX}, appendVoid(nil, 5)},
		"an unknown type":                {record{kind: 5, query: keyX}, appendVoid(nil, 3)},
	} {
		c.r.seq, c.r.prev = uint64(len(starts)), l.prev
		r := l.keys.seal(c.r, c.body)
		_, _, err := try(t, dir, append(bytes.Clone(content), r.bytes()...), Head{})
		require.ErrorIs(t, err, ErrDamaged, name)
	}
	for name, spoil := range map[string]func(r *record){
		"another sequence": func(r *record) { r.seq++ }, "another previous record": func(r *record) { r.prev[5] ^= 1 },
	} {
		bad := good
		bad.seq, bad.prev = uint64(len(starts)), l.prev
		spoil(&bad)
		_, _, err := try(t, dir, append(bytes.Clone(content), l.keys.seal(bad, reserve(fresh, false)).bytes()...), Head{})
		require.ErrorIs(t, err, ErrDamaged, name)
	}
	good.seq, good.prev = uint64(len(starts)), l.prev
	r := l.keys.seal(good, reserve(fresh, false))
	_, _, err := try(t, dir, append(bytes.Clone(content), r.bytes()...), Head{})
	require.NoError(t, err, "the same way, a good record is accepted")
}

// Any change to the file, of any size, is refused, or is a cut that the crash rule explains.
func TestRandomDamage(t *testing.T) {
	content, _, head := whole(t)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(content)-1).Draw(t, "at")
		drop := rapid.IntRange(0, min(300, len(content)-at)).Draw(t, "drop")
		insert := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "insert")
		b := append(append(bytes.Clone(content[:at]), insert...), content[at+drop:]...)
		if bytes.Equal(b, content) {
			return
		}
		got, size, err := try(t, dir, b, Head{})
		if err != nil {
			return
		}
		if size > int64(len(content)) || !bytes.Equal(b[:size], content[:size]) || got.Seq > head.Seq {
			t.Fatal("a changed file was accepted")
		}
	})
}
